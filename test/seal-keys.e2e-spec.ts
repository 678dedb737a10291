import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { demandApproval, readForceRules } from '../commands/keys/force-approval.js';
import { addKey, listKeyIds, moveKeyFirst } from '../commands/keys/key-file.js';
import { nameRows } from '../commands/keys/key-table.js';
import { forceRetire, retire } from '../commands/keys/retire.js';
import { ApprovalSeal, describeApproval } from '../src/approvals/approval-seal.js';
import { ApprovalEntity } from '../src/approvals/approval.entity.js';
import { deriveSealKey, readMasters, type SecretKeys } from '../src/config/secret-keys.js';
import { createCommandOptions } from '../src/database/data-source.js';
import { describeRow } from '../src/credentials/credential-bindings.js';
import { CredentialEntity } from '../src/credentials/credential.entity.js';
import { SealRegister } from '../src/seals/seal-register.js';
import type { Seals } from '../src/seals/seals.js';
import { type Approval, APPROVALS, IDENTITIES, RP_ID, SERVICES } from './support/approvals.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem, type Page } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { makeSeals } from './support/secret-keys.js';
import { type Replica, TestService, toSpiffeId } from './support/service.js';
import { until } from './support/until.js';

const POLICY =
  SERVICES.replace(
    `  - id: ${toSpiffeId('third')}\n    permissions: [approvals:decide]\n`,
    `  - id: ${toSpiffeId('third')}\n    permissions: [approvals:decide]\n    relyingParties: [${RP_ID}]\n`,
  ) + APPROVALS.replace(':write]', ':write, seal-keys:force-retire]');

let service: TestService;
/** A replica whose file has the new key first. */
let rotated: Replica;
let owner: DataSource;
let keyFile: string;
let [oldKey, newKey]: string[] = [];
beforeAll(async () => {
  const prepare = (pki: { directory: string }): Promise<void> => {
    keyFile = join(dirname(pki.directory), 'binding.key');
    [oldKey] = listKeyIds(keyFile);
    newKey = addKey(keyFile);
    return Promise.resolve();
  };
  service = await TestService.start({ accessPolicy: POLICY, identities: IDENTITIES, prepare });
  await service.relyingParty(RP_ID);
  owner = await new DataSource({
    ...createCommandOptions(service.database.migratorUrl),
    entities: [ApprovalEntity, CredentialEntity],
  }).initialize();
});
afterAll(async () => {
  await owner.destroy();
  await rotated.stop();
  await service.stop();
});

const register = async (userId: string): Promise<string> =>
  (await service.ceremonies(RP_ID).registered(userId, new Authenticator())).id;

describe('what waits for an approval', () => {
  const erase = (at: Pick<Replica, 'client'>, userId: string): Promise<Answer<Approval>> =>
    at.client.call<Approval>('operator', 'DELETE', `/v1/users/${userId}?rpId=${RP_ID}`);
  const weaken = (at: Pick<Replica, 'client'>): Promise<Answer<Approval>> =>
    at.client.call<Approval>('operator', 'PUT', `/v1/relying-parties/${RP_ID}`, {
      ...{ name: RP_ID, origins: [`https://${RP_ID}`], policy: { userVerification: 'preferred' } },
    });

  it('is the same request when another key seals meanwhile, and is decided under that key', async () => {
    await register('ann');
    const before = [requireStatus(await erase(service, 'ann'), 202), requireStatus(await weaken(service), 202)];
    moveKeyFirst(keyFile, newKey!);
    rotated = await service.startReplica();
    const after = [requireStatus(await erase(rotated, 'ann'), 202), requireStatus(await weaken(rotated), 202)];
    expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    const answer = await rotated.client.call('second', 'POST', `/v1/approvals/${before[0]!.id}/approve`, {
      reason: 'x',
    });
    expect(answer).toMatchObject({ status: 200, body: { status: 'approved', userId: null } });
  });

  it('is the same request as one of before, which binds the user by another key', async () => {
    await register('bob');
    const { id } = requireStatus(await erase(rotated, 'bob'), 202);
    const approvals = owner.getRepository(ApprovalEntity);
    const row = await approvals.findOneByOrFail({ id });
    row.action = JSON.stringify({ ...(JSON.parse(row.action) as object), binding: 'x' });
    await approvals.save(rotated.running.app.get(ApprovalSeal, { strict: false }).seal(row));
    expect(requireStatus(await erase(rotated, 'bob'), 202).id).toBe(id);
    const answer = await rotated.client.call('second', 'POST', `/v1/approvals/${id}/approve`, { reason: 'x' });
    expect(answer).toMatchObject({ status: 200 });
  });
});

describe('the forced retirement of a stolen key', () => {
  const rules = (): NonNullable<ReturnType<typeof readForceRules>> =>
    readForceRules(join(service.dataDir, 'access-policy.yaml'))!;
  const demand = (): Promise<string> => demandApproval(owner, oldKey!, keyFile, rules());
  const listRequests = async (identity: string): Promise<Approval[]> =>
    requireStatus(
      await rotated.client.call<Page<Approval>>(identity, 'GET', '/v1/approvals?limit=200'),
      200,
    ).data.filter(({ permission }) => permission === 'seal-keys:force-retire');
  /** What the thief has. */
  const steal = (): Seals => {
    const key = readMasters(keyFile, 'x')
      .map(deriveSealKey)
      .filter(({ id }) => id === oldKey);
    return makeSeals({ seals: key as unknown as SecretKeys['seals'] });
  };
  let planted: string;
  let forged: string;

  it('is for rows that keep the key from being retired', async () => {
    [planted, forged] = [await register('cyd'), await register('dan')];
    await service.sql(
      `UPDATE credential SET binding_mac = decode($2, 'hex') || substring(binding_mac FROM 5) WHERE id = $1`,
      [planted, oldKey],
    );
    const credentials = owner.getRepository(CredentialEntity);
    const row = await credentials.findOneByOrFail({ id: forged });
    row.userId = 'cyd';
    await credentials.update({ id: forged }, { userId: 'cyd', bindingMac: steal().seal(describeRow(row)) });
    await expect(retire(owner, oldKey!, () => Promise.resolve())).rejects.toThrow(
      /cannot be retired: it has sealed rows/,
    );
  });

  it('waits for a second identity, which sees the key and the number of rows', async () => {
    // An event that the key has sealed counts until it gets its place in the log.
    await until(async () => (await owner.query<object[]>('SELECT FROM audit_pending')).length === 0);
    const rows = (await nameRows(owner, oldKey!)).length;
    await expect(demand()).rejects.toThrow(
      /^A second identity must approve this first: POST \/v1\/approvals\/.+\/approve/,
    );
    const [request, ...others] = await listRequests('second');
    expect(others).toEqual([]);
    expect(request).toMatchObject({
      rpId: null,
      status: 'pending',
      requestedBy: 'npm run keys',
      sealKey: { id: oldKey, rows },
    });
    await expect(demand()).rejects.toThrow(request!.id);
    expect(await listRequests('second')).toHaveLength(1);
    // Rows of all relying parties are at stake.
    expect(await listRequests('third')).toEqual([]);
    const decision = await rotated.client.call('third', 'POST', `/v1/approvals/${request!.id}/approve`, {
      reason: 'x',
    });
    expect(decision).toMatchObject(makeProblem(404, 'approval-unknown'));
    const [event] = await new AuditLog(rotated.client).events({ type: 'approval.request' });
    expect(event?.unmapped).toMatchObject({ approval_id: request!.id, seal_key: oldKey, rows });
  });

  it.each(['approved', 'pending'] as const)(
    'takes no request for %s that the key itself has sealed',
    async (status) => {
      const [{ id: genuine }] = (await listRequests('second')) as [Approval];
      const row = await owner.getRepository(ApprovalEntity).findOneByOrFail({ id: genuine });
      const [decidedBy, decidedAt] = status === 'approved' ? ['x', new Date()] : [null, null];
      const made = Object.assign(row, { id: crypto.randomUUID(), status, decidedBy, decidedAt });
      made.mac = steal().seal(describeApproval(made));
      await owner.getRepository(ApprovalEntity).insert(made);
      await expect(demand()).rejects.toThrow(genuine);
      await owner.getRepository(ApprovalEntity).delete({ id: made.id });
    },
  );

  it('names each row, records their number, and leaves them refused', async () => {
    const [request] = await listRequests('second');
    const approve = `/v1/approvals/${request!.id}/approve`;
    requireStatus(await rotated.client.call('second', 'POST', approve, { reason: 'stolen' }), 200);
    const approvalId = await demand();
    expect(approvalId).toBe(request!.id);
    const names: string[] = [];
    const rows = await forceRetire(owner, oldKey!, () => Promise.resolve(), {
      approvalId,
      show: (name) => names.push(name),
    });
    expect(names).toHaveLength(rows);
    expect(names).toEqual(expect.arrayContaining([planted, forged].map((id) => `credential ${RP_ID} ${id}`)));

    await rotated.running.app.get(SealRegister, { strict: false }).refresh();
    const log = new AuditLog(rotated.client);
    for (const id of [planted, forged]) {
      const path = `/v1/credentials/${id}`;
      expect(await rotated.client.call('auth-service', 'GET', path)).toMatchObject(
        makeProblem(404, 'credential-unknown'),
      );
    }
    const tampered = await log.events({ type: 'credential.tampered' });
    const reported = tampered.map(({ unmapped }) => (unmapped?.['credential'] as { uid: string }).uid);
    expect(reported).toEqual(expect.arrayContaining([planted, forged]));

    const [event] = await log.events({ type: 'seal-key.force-retire' });
    expect(event?.unmapped).toMatchObject({ seal_key: oldKey, rows, approval_id: approvalId });
    expect(await log.events({ type: 'seal-key.retire' })).toEqual([]);
    const path = `/v1/audit/events/${event!.metadata.uid}/proof`;
    await until(async () => (await rotated.client.call('auditor', 'GET', path)).status === 200);
  });

  it('is not possible twice', async () => {
    const again = forceRetire(owner, oldKey!, () => Promise.resolve(), {
      approvalId: undefined,
      show: () => undefined,
    });
    await expect(again).rejects.toThrow('is retired already');
  });
});
