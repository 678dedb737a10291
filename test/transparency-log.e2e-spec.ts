import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem } from './support/bodies.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { hashLeaf } from '../src/tlog/merkle.js';
import { openCheckpoint } from '../src/tlog/checkpoint.js';
import { parseConsistency, verifyEvent } from '../src/tlog/proof-documents.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { verifyConsistency } from '../src/tlog/proofs.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
  const party = await service.relyingParty('login.example.com');
  const authenticator = new Authenticator();
  await party.registered('ada', authenticator);
  for (let count = 0; count < 20; count += 1) await party.authenticate(authenticator);
});
afterAll(() => service.stop());

/** Repeats a request after a 503, because another suite's transaction on the same server can delay the sequencing. */
async function get<Body = Record<string, unknown>>(path: string, identity = 'auditor'): Promise<Answer<Body>> {
  const answer = await service.client.call<Body>(identity, 'GET', path);
  return answer.status === 503 ? get(path, identity) : answer;
}
const tick = (): Promise<void> => service.running.app.get(CheckpointScheduler, { strict: false }).tick();
const text = async (path: string): Promise<string> => (await get<string>(path)).body;

/** Waits until every event is sequenced. */
async function settled(): Promise<void> {
  const pending = service.running.app.get(PendingEventsRepository, { strict: false });
  while ((await pending.findOldest()) !== undefined) {
    service.clock.advance(1);
    await tick();
  }
}

async function exported(query = ''): Promise<string> {
  await settled();
  const { status, headers, body } = await get<string>(`/v1/audit/export${query}`);
  expect([status, headers['content-type']]).toEqual([200, 'application/x-ndjson']);
  return body;
}

const once = (content: string): Readable => Readable.from([Buffer.from(content)]);

describe('the transparency log', () => {
  it('is signed by Ed25519 and ML-DSA-44, under the name of the deployment', async () => {
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    expect(keys.map(({ name, algorithm }) => [name, algorithm])).toEqual([
      ['passkey-manager/default', 'ed25519'],
      ['passkey-manager/default', 'ml-dsa-44'],
    ]);
    const { origin, size } = openCheckpoint(await text('/v1/audit/checkpoint'), keys);
    expect(origin).toBe('passkey-manager/default');
    expect(size).toBeGreaterThan(0);
  });

  it('proves that an event is in it', async () => {
    const [{ metadata, ...shown } = { metadata: { uid: '' } }] = (
      await get<{ data: { metadata: { uid: string }; user?: { uid_alt?: string } }[] }>(
        '/v1/audit/events?type=credential.verify&limit=1',
      )
    ).body.data;
    expect(shown.user?.uid_alt).toBeDefined();
    const path = `/v1/audit/events/${metadata.uid}`;
    const event = JSON.stringify((await get(path)).body);
    const proof = JSON.stringify((await get(`${path}/proof`)).body);
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    expect(verifyEvent(event, proof, keys)).toMatchObject({ id: metadata.uid, type: 'credential.verify' });
    expect(() => verifyEvent(event.replace('credential.verify', 'credential.revoke'), proof, keys)).toThrow(
      'the event was altered, or is another one than was logged',
    );
  });

  it('proves every event as the API shows it, wherever the event names its user', async () => {
    const party = await service.relyingParty('changes.example.com');
    const { id } = await party.registered('ada', new Authenticator());
    const change = async (path: string, body: object): Promise<void> => {
      requireStatus(await service.client.call('auth-service', 'POST', path, body), 200);
    };
    await change(`/v1/credentials/${id}/suspend`, { reason: 'lost' });
    await change(`/v1/credentials/${id}/reinstate`, { reason: 'found' });
    await change('/v1/users/ada/revoke?rpId=changes.example.com', { reason: 'left' });
    await settled();
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    const { data } = (await get<{ data: { metadata: { uid: string } }[] }>('/v1/audit/events?userId=ada')).body;
    const types: string[] = [];
    for (const { metadata } of data) {
      const event = JSON.stringify((await get(`/v1/audit/events/${metadata.uid}`)).body);
      const proof = JSON.stringify((await get(`/v1/audit/events/${metadata.uid}/proof`)).body);
      expect(event).toContain('"ada"');
      types.push(verifyEvent(event, proof, keys).type);
    }
    expect(types).toEqual(expect.arrayContaining(['user.revoke', 'credential.suspend', 'credential.reinstate']));
  });

  it('only grows', async () => {
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    const before = openCheckpoint(await text('/v1/audit/checkpoint'), keys);
    await service.client.call('stranger', 'GET', '/v1/credentials');
    await settled();
    const after = openCheckpoint(await text('/v1/audit/checkpoint'), keys);
    expect(after.size).toBeGreaterThan(before.size);
    const { body } = await get(`/v1/audit/consistency?from=${String(before.size)}&to=${String(after.size)}`);
    const { proof } = parseConsistency(JSON.stringify(body));
    const [from, to, fromRoot, toRoot] = [before.size, after.size, before.root, after.root];
    expect(verifyConsistency({ from, to, proof, fromRoot, toRoot })).toBe(true);
  });

  it.each(['from=2&to=1', 'from=0&to=99999999', 'from=-1&to=2', 'from=a&to=b', 'from=1', ''])(
    'gives no consistency proof from %j',
    async (query) => {
      expect(await get(`/v1/audit/consistency?${query}`)).toMatchObject(makeProblem(400, 'request-malformed'));
    },
  );

  it('is exported whole, and proves itself', async () => {
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    const proved = await verifyExport(once(await exported()), keys);
    expect(proved).toMatchObject({ from: 0, erased: 0 });
    expect(proved.events).toBeGreaterThan(20);
    expect(proved.to).toBe(proved.checkpoint.size);
  });

  it('is exported in parts by time, and each proves itself', async () => {
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    const now = service.clock.now().toISOString();
    const proved = await verifyExport(once(await exported(`?from=${now}`)), keys);
    expect(proved.events).toBe(0);
    const all = await verifyExport(once(await exported(`?to=${now}`)), keys);
    expect(all.events).toBeGreaterThan(20);
  });

  it('names users by pseudonyms that are erased with them', async () => {
    const party = service.ceremonies('login.example.com');
    const authenticator = new Authenticator();
    await party.registered('grace', authenticator);
    for (const user of ['grace', 'grace', 'ada', 'nobody-known']) {
      requireStatus(await party.requestRegistration(user, { identityProof: undefined }), 422);
    }
    const log = await exported();
    expect(['ada', 'grace', 'nobody-known'].filter((user) => log.includes(`"${user}"`))).toEqual([]);
    type Shown = { data: { user: { uid: string; uid_alt?: string } }[] };
    const of = async (user: string): Promise<Shown['data']> =>
      (await get<Shown>(`/v1/audit/events?userId=${user}&type=challenge.issue`)).body.data;
    const before = await of('grace');
    expect(before.length).toBeGreaterThan(1);
    expect(new Set(before.map(({ user }) => user.uid))).toEqual(new Set(['grace']));
    expect(new Set(before.map(({ user }) => user.uid_alt)).size).toBe(1);
    expect(log.includes(before[0]?.user.uid_alt ?? '?')).toBe(true);
    expect(await of('nobody-known')).toHaveLength(1);
    expect(await of('ada')).toHaveLength(1);
    expect((await service.client.call('operator', 'DELETE', '/v1/users/grace?rpId=login.example.com')).status).toBe(
      204,
    );
    expect(await of('grace')).toEqual([]);
    const { body } = await get<Shown>('/v1/audit/events?type=challenge.issue&limit=200');
    expect(body.data.map(({ user }) => user.uid)).toContain(before[0]?.user.uid_alt);
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    expect((await verifyExport(once(await exported()), keys)).erased).toBe(0);
  });

  it('is exported from the end of an earlier export', async () => {
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    expect(await verifyExport(once(await exported('?from=10&to=20')), keys)).toMatchObject({
      from: 10,
      to: 20,
      events: 10,
    });
    const rest = await verifyExport(once(await exported('?from=20')), keys);
    expect([rest.from, rest.to]).toEqual([20, rest.checkpoint.size]);
    expect(await verifyExport(once(await exported('?from=999999')), keys)).toMatchObject({ events: 0 });
    expect(await get('/v1/audit/export?from=-1')).toMatchObject(makeProblem(400, 'request-malformed'));
  });

  it('records that it was exported', async () => {
    await exported();
    const { body } = await get<{ data: unknown[] }>('/v1/audit/events?type=audit.export&limit=1');
    expect(body.data).toHaveLength(1);
  });

  it.each(['auth-service', 'operator', 'stranger'])('is closed to %s', async (identity) => {
    for (const path of ['export', 'key', 'checkpoint', 'consistency?from=0&to=1']) {
      expect(await get(`/v1/audit/${path}`, identity)).toMatchObject(makeProblem(403, 'permission-denied'));
    }
  });
});

describe('an event that the service did not write', () => {
  it('is shown without a place, has no proof, is in no export, and is reported', async () => {
    const id = randomUUID();
    const [copied] = await service.sql<{ id: string; event: string }>(
      `SELECT id, event FROM audit_event WHERE type = 'credential.verify' ORDER BY id DESC LIMIT 1`,
    );
    const event = copied!.event.replaceAll(copied!.id, id);
    const leafHash = hashLeaf(event);
    await service.sql(
      `INSERT INTO audit_event (id, event, leaf_hash, type, outcome, actor, rp_id, user_id, credential_uid, credential_id)
       SELECT $1, $2, $3, type, outcome, actor, rp_id, user_id, credential_uid, credential_id FROM audit_event WHERE id = $4`,
      [id, event, leafHash, copied!.id],
    );
    await service.sql('INSERT INTO audit_pending (event_id, leaf_hash) VALUES ($1, $2)', [id, leafHash]);
    await settled();
    const shown = requireStatus(await get<{ metadata: object }>(`/v1/audit/events/${id}`), 200);
    expect(shown.metadata).toEqual(expect.not.objectContaining({ sequence: expect.anything() }));
    expect(await get(`/v1/audit/events/${id}/proof`)).toMatchObject(makeProblem(404, 'event-unknown'));
    const log = await exported();
    const keys = parseVerifierKeys(await text('/v1/audit/key'));
    await expect(verifyExport(once(log), keys)).resolves.toBeDefined();
    expect(log).not.toContain(`"uid":"${id}"`);
    expect(log.split('\n').filter((line) => line.includes(id) && line.includes('event-unsealed'))).toHaveLength(1);
    const failing = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
    expect(failing).toContain('passkey_audit_failing{failure="event-unsealed"} 1');
    const ready = await (await fetch(`${service.running.managementUrl}/health/ready`)).text();
    expect(ready).toContain('event-unsealed');
  });
});
