import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSealKeys, makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { ApprovalSeal } from '../approvals/approval-seal.js';
import { type ApprovalStatus, ApprovalEntity } from '../approvals/approval.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { UserSeals } from '../audit/user-seals.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { DEFAULT_POLICY } from '../relying-parties/relying-party-policy.js';
import { RelyingPartySeals } from '../relying-parties/relying-party-seals.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { readKeyId } from '../seals/seal.js';
import type { Seals } from '../seals/seals.js';
import { SealRegister } from '../seals/seal-register.js';
import { Metrics } from '../telemetry/metrics.js';
import { SealRefresh } from './seal-refresh.js';
import type { WalkedRows } from './walk-page.js';

Logger.overrideLogger(false);

const NOW = new Date('2026-06-30T12:00:00.000Z');
const RP_ID = 'a.example';
const [OLD, BOTH] = [makeSealKeys(1), makeSealKeys(2, 1)];
const [NEW_ID, OLD_ID] = BOTH.seals.map(({ id }) => id) as [string, string];

let database: TestDataSource;
let audit: FakeAudit;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  audit = new FakeAudit();
  await database.sql(
    'TRUNCATE credential, user_handle, relying_party, seal_phase, approval, audit_event, audit_pending',
  );
});
afterAll(() => database.close());

async function makeRefresh(seals: Seals = makeSeals(BOTH)): Promise<SealRefresh> {
  const { refusals } = audit;
  const register = await SealRegister.read(database.dataSource, { now: () => NOW }, BOTH, new Metrics());
  return new SealRefresh(
    new CredentialBindings(seals, refusals),
    new UserSeals(seals, refusals),
    new RelyingPartySeals(seals, refusals),
    new ApprovalSeal(seals, refusals),
    register,
    new AuditService(database.dataSource, { now: () => NOW }, new Metrics(), TEST_KEYS, makeSeals()),
    new Metrics(),
  );
}

/** Stores a row of each table, sealed by the old key. @returns the rows of a page of each */
async function storeOld(): Promise<WalkedRows[]> {
  const [seals, { refusals }] = [makeSeals(OLD), audit];
  const credential = new CredentialBindings(seals, refusals).seal(makeCredentialRow({ rpId: RP_ID }));
  const user = { rpId: RP_ID, userId: 'u-1', handle: Buffer.alloc(32), auditUid: randomUUID(), createdAt: NOW };
  const party = new RelyingPartySeals(seals, refusals).seal({
    ...{ rpId: RP_ID, name: 'A', origins: ['https://a.example'], enabled: true, policy: DEFAULT_POLICY },
    ...{ successor: null, version: 1, createdAt: NOW, updatedAt: NOW, seal: null },
  });
  const { manager } = database.dataSource;
  await manager.insert(CredentialEntity, credential);
  await manager.insert(UserHandleEntity, { ...user, seal: new UserSeals(seals, refusals).seal(user) });
  await manager.insert(RelyingPartyEntity, party);
  const approvals = (['pending', 'refused'] as const).map((status) =>
    new ApprovalSeal(seals, refusals).seal(makeApproval(status)),
  );
  await manager.insert(ApprovalEntity, approvals);
  return [
    { table: 'credential', keys: [credential.id] },
    { table: 'user_handle', keys: [user.auditUid] },
    { table: 'relying_party', keys: [RP_ID] },
    { table: 'approval', keys: approvals.map(({ id }) => id) },
  ];
}

/** A request, and one that somebody has decided. */
function makeApproval(status: ApprovalStatus): Omit<ApprovalEntity, 'mac'> {
  const decided = status === 'pending' ? null : 'spiffe://bank.example/second';
  return {
    ...{ id: randomUUID(), permission: 'passkeys:erase', rpId: RP_ID, action: '{"user":"x"}', status },
    ...{ requestedBy: 'spiffe://bank.example/one', requestedAt: NOW, expiresAt: NOW },
    ...{ decidedBy: decided, decidedAt: decided && NOW, reason: decided },
  };
}

const walk = (refresh: SealRefresh, rows: WalkedRows): Promise<number> =>
  database.dataSource.transaction((manager) => refresh.refresh(manager, rows));
async function readKeyIds(): Promise<string[]> {
  const rows = await database.sql<{ seal: Buffer }>(
    'SELECT binding_mac AS seal FROM credential UNION ALL SELECT seal FROM user_handle UNION ALL SELECT seal FROM relying_party UNION ALL SELECT mac FROM approval',
  );
  return rows.map(({ seal }) => readKeyId(seal));
}

describe('the walk', () => {
  it('seals every row again that another key than the first has sealed, once', async () => {
    const pages = await storeOld();
    const refresh = await makeRefresh();
    for (const page of pages) expect(await walk(refresh, page)).toBe(page.keys.length);
    expect(await readKeyIds()).toEqual([NEW_ID, NEW_ID, NEW_ID, NEW_ID, NEW_ID]);
    for (const page of pages) expect(await walk(refresh, page)).toBe(0);
    const seals = makeSeals(makeSealKeys(2));
    const [credential] = await database.dataSource.getRepository(CredentialEntity).find();
    expect(new CredentialBindings(seals, audit.refusals).isGenuine(credential!)).toBe(true);
    const [user] = await database.dataSource.getRepository(UserHandleEntity).find();
    expect(new UserSeals(seals, audit.refusals).isGenuine(user!)).toBe(true);
    const approvals = await database.dataSource.getRepository(ApprovalEntity).find();
    expect(approvals.map((row) => [row.status, new ApprovalSeal(seals, audit.refusals).isGenuine(row)]).sort()).toEqual(
      [
        ['pending', true],
        ['refused', true],
      ],
    );
    expect(audit.entries).toEqual([]);
  });

  it('leaves the wrong seal to a row that something else changed, and reports it', async () => {
    const pages = await storeOld();
    await database.sql(`UPDATE credential SET name = 'x'; UPDATE user_handle SET handle = '\\x07';
      UPDATE relying_party SET name = 'x'; UPDATE approval SET status = 'approved'`);
    const refresh = await makeRefresh();
    for (const page of pages) expect(await walk(refresh, page)).toBe(0);
    expect(await readKeyIds()).toEqual([OLD_ID, OLD_ID, OLD_ID, OLD_ID, OLD_ID]);
    expect(audit.entries.map(({ type }) => type)).toEqual([
      'credential.tampered',
      'user.tampered',
      'relying-party.tampered',
      'approval.tampered',
      'approval.tampered',
    ]);
  });

  it('waits for no row that is in use, and counts it as old', async () => {
    const [page] = await storeOld();
    const refresh = await makeRefresh();
    await database.dataSource.transaction(async (manager) => {
      await manager.query('SELECT FROM credential FOR UPDATE');
      expect(await walk(refresh, page!)).toBe(1);
    });
    expect((await readKeyIds())[0]).toBe(OLD_ID);
  });

  it('seals users of the version before, who have no seal', async () => {
    const [, page] = await storeOld();
    await database.sql('UPDATE user_handle SET seal = NULL');
    expect(await walk(await makeRefresh(), page!)).toBe(0);
    expect(await walk(await makeRefresh(makeSeals(BOTH, { areOldAccepted: true })), page!)).toBe(1);
    expect((await readKeyIds())[1]).toBe(NEW_ID);
  });
});

describe('the end of the old seals', () => {
  const LATER = new Date(NOW.getTime() + 600_000);
  const end = async (oldSeals: number, beganAt = LATER): Promise<boolean> => {
    const refresh = await makeRefresh();
    await database.dataSource.transaction((manager) => refresh.endWalk(manager, { beganAt, oldSeals }));
    return (await database.sql(`SELECT FROM seal_phase WHERE phase = 'only-new'`)).length === 1;
  };
  const begin = (since: Date): Promise<unknown> => database.sql(`INSERT INTO seal_phase VALUES ('new', $1)`, [since]);

  it('comes when a whole walk has found none', async () => {
    await begin(NOW);
    expect(await end(1)).toBe(false);
    expect(await end(0)).toBe(true);
  });

  it('does not come by a walk that began while replicas still made some', async () => {
    await begin(NOW);
    expect(await end(0, NOW)).toBe(false);
    expect(await end(0, new Date(LATER.getTime() - 1))).toBe(false);
  });

  it('is in the log once, however many replicas find it at once', async () => {
    await begin(NOW);
    await Promise.all([end(0), end(0), end(0)]);
    await end(0);
    const events = await database.sql<{ type: string }>('SELECT type FROM audit_event');
    expect(events).toEqual([{ type: 'seal-key.end-old-seals' }]);
  });

  it('is none in a database that never had any', async () => {
    await database.sql(`INSERT INTO seal_phase VALUES ('new', $1), ('only-new', $1)`, [NOW]);
    await end(0);
    expect(await database.sql('SELECT FROM audit_event')).toEqual([]);
  });

  it('does not wait for a request for approval that SQL made up', async () => {
    await begin(NOW);
    await database.sql(`INSERT INTO approval (id, permission, rp_id, action, requested_by, requested_at, expires_at, status, mac)
      VALUES (gen_random_uuid(), 'passkeys:erase', 'a.example', '{}', 'x', now(), now(), 'expired', sha256(''))`);
    const keys = (await database.sql<{ id: string }>('SELECT id FROM approval')).map(({ id }) => id);
    const refresh = await makeRefresh(makeSeals(BOTH, { areOldAccepted: true }));
    const oldSeals = await walk(refresh, { table: 'approval', keys });
    expect(await end(oldSeals)).toBe(true);
  });

  it('waits for a request for approval with an old seal, which the walk seals again', async () => {
    await begin(NOW);
    const former = makeSeals(OLD, { areSealsNew: false, areOldAccepted: true });
    const approval = new ApprovalSeal(former, audit.refusals).seal(makeApproval('refused'));
    expect(approval.mac).toHaveLength(32);
    await database.dataSource.manager.insert(ApprovalEntity, approval);
    const page: WalkedRows = { table: 'approval', keys: [approval.id] };
    const refresh = await makeRefresh(makeSeals(BOTH, { areOldAccepted: true }));
    expect(await end(await walk(refresh, page))).toBe(false);
    expect(await readKeyIds()).toEqual([NEW_ID]);
    expect(await end(await walk(refresh, page))).toBe(true);
  });
});
