import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SuccessionWatch } from '../src/successors/succession-watch.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { type Replica, TestService, toSpiffeId } from './support/service.js';

interface Group {
  users: number;
  byLastUse: Record<string, number>;
}
interface Progress {
  countedAt: string | null;
  hasEnded: boolean;
  users: Record<'onlyHere' | 'both' | 'onlyAtSuccessor', Group> | null;
}

const LIMITED = 'limited';
const MINE = 'mine.example.com';
const ACCESS_POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:manage]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read]
  - id: ${toSpiffeId(LIMITED)}
    permissions: [relying-parties:read]
    relyingParties: [${MINE}]
`;
const DAY = 86_400;
const NEVER = { within7Days: 0, within30Days: 0, within90Days: 0, earlier: 0, never: 0 };

let service: TestService;
let log: AuditLog;
let names = 0;
let old: Ceremonies<string>;
let next: Ceremonies<string>;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: ACCESS_POLICY, identities: [LIMITED] });
  log = new AuditLog(service.client);
});
beforeEach(async () => {
  const [oldId, newId] = [`old-${String((names += 1))}.example.com`, `new-${String(names)}.example.com`];
  next = await service.relyingParty(newId);
  old = service.ceremonies(oldId);
  await name({});
});
afterEach(async () => {
  await service.relyingParty(old.rpId);
  service.clock.reset();
});
afterAll(() => service.stop());

const name = (successor: object) =>
  service.relyingParty(
    old.rpId,
    {},
    { origins: [old.origin, next.origin], successor: { rpId: next.rpId, ...successor } },
  );
const read = async (rpId = old.rpId): Promise<Progress> =>
  requireStatus(await service.client.call<Progress>('operator', 'GET', `/v1/relying-parties/${rpId}/migration`), 200);
const watchOf = ({ app }: Replica['running']): SuccessionWatch => app.get(SuccessionWatch, { strict: false });
const inSeconds = (seconds: number): string => new Date(service.clock.now().getTime() + seconds * 1_000).toISOString();
const listEnds = async () =>
  (await log.events({ type: 'relying-party.end' })).filter(({ unmapped }) => unmapped?.['rp_id'] === old.rpId);

async function count(running = service.running): Promise<Progress> {
  for (let ticks = 0; ticks < 3; ticks += 1) await watchOf(running).tick();
  return read();
}

async function addUser(userId: string, ...at: Ceremonies<string>[]): Promise<void> {
  for (const ceremonies of at) await ceremonies.registered(userId, new Authenticator());
}

const used = (userId: string, rpId: string, days: number) =>
  service.sql('UPDATE credential SET last_used_at = $3 WHERE user_id = $1 AND rp_id = $2', [
    ...[userId, rpId],
    new Date(service.clock.now().getTime() - days * DAY * 1_000),
  ]);

describe('GET /v1/relying-parties/{rpId}/migration', () => {
  it('tells that the first count is under way, and then the users by where they have active passkeys and by last use', async () => {
    expect(await read()).toMatchObject({
      successor: next.rpId,
      endsAt: null,
      hasEnded: false,
      countedAt: null,
      users: null,
    });
    for (const [user, days] of [
      ['a', 1],
      ['b', 8],
      ['c', 31],
      ['d', 91],
    ] as const) {
      await addUser(user, old);
      await used(user, old.rpId, days);
    }
    await addUser('e', old);
    const gone = await next.registered('e', new Authenticator());
    await addUser('f', old, old, next);
    await used('f', old.rpId, 2);
    await addUser('g', next);
    const lost = await old.registered('h', new Authenticator());
    await service.client.call('auth-service', 'POST', `/v1/credentials/${lost.id}/revoke`, { reason: 'lost' });
    await service.client.call('auth-service', 'POST', `/v1/credentials/${gone.id}/suspend`, { reason: 'lost' });
    expect((await count()).users).toEqual({
      onlyHere: { users: 5, byLastUse: { within7Days: 1, within30Days: 1, within90Days: 1, earlier: 1, never: 1 } },
      both: { users: 1, byLastUse: { ...NEVER, within7Days: 1 } },
      onlyAtSuccessor: { users: 1, byLastUse: { ...NEVER, never: 1 } },
    });
  });

  it('counts again an hour after a count, or when the successor is another one', async () => {
    await addUser('a', old);
    const first = await count();
    await addUser('b', old);
    service.clock.advance(3_500);
    expect(await count()).toEqual(first);
    service.clock.advance(101);
    expect((await count()).users?.onlyHere.users).toBe(2);
    await service.relyingParty(`other-${old.rpId}`);
    await name({ rpId: `other-${old.rpId}` });
    expect(await read()).toMatchObject({ countedAt: null, users: null });
    expect((await count()).users?.onlyHere.users).toBe(2);
  });

  it('counts more users than a page has', async () => {
    await service.sql(
      `INSERT INTO user_handle (rp_id, user_id, handle, created_at, audit_uid)
       SELECT rp, 'many-' || n, decode(md5(rp || n), 'hex'), now(), gen_random_uuid() FROM generate_series(1, 4001) AS n, unnest($1::text[]) AS rp`,
      [[old.rpId, next.rpId]],
    );
    await addUser('a-first', next);
    await addUser('z-last', old, next);
    const { users } = await count();
    expect([users?.onlyHere.users, users?.both.users, users?.onlyAtSuccessor.users]).toEqual([0, 1, 1]);
  });

  it('is not there without a successor, nor is it kept', async () => {
    await count();
    await service.relyingParty(old.rpId);
    const path = `/v1/relying-parties/${old.rpId}/migration`;
    expect(await service.client.call('operator', 'GET', path)).toMatchObject(makeProblem(404, 'not-found'));
    await watchOf(service.running).tick();
    expect(await service.sql('SELECT FROM succession WHERE rp_id = $1', [old.rpId])).toEqual([]);
  });

  it('is told to nobody who may act for one of them alone', async () => {
    await service.relyingParty(MINE, {}, { successor: { rpId: next.rpId } });
    const ask = (identity: string) => service.client.call(identity, 'GET', `/v1/relying-parties/${MINE}/migration`);
    expect(await ask(LIMITED)).toMatchObject(makeProblem(403, 'relying-party-denied'));
    expect(await ask('operator')).toMatchObject({ status: 200 });
    await service.relyingParty(MINE);
  });

  it('is counted by one of the replicas, and by another one if that one is gone', async () => {
    const [one, other] = await Promise.all([service.startReplica(), service.startReplica()]);
    try {
      await addUser('a', old);
      await Promise.all([one, other].map(({ running }) => count(running)));
      expect((await read()).users?.onlyHere.users).toBe(1);
      service.clock.advance(3_601);
      await service.sql(
        'UPDATE succession SET counter = gen_random_uuid(), alive_at = $2, users = NULL WHERE rp_id = $1',
        [old.rpId, service.clock.now()],
      );
      expect(await count(other.running)).toMatchObject({ users: null });
      service.clock.advance(61);
      expect((await count(other.running)).users?.onlyHere.users).toBe(1);
    } finally {
      await Promise.all([one.stop(), other.stop()]);
    }
  });

  it.each(['\'{"onlyHere": 1}\'', "'[]'", "'null'", 'NULL', `'{"onlyHere": {"never": -1}}'`])(
    'shows no count that SQL made up, and goes on: %s',
    async (users) => {
      await count();
      await service.sql(`UPDATE succession SET users = ${users} WHERE rp_id = $1`, [old.rpId]);
      expect(await read()).toMatchObject({ users: null });
      service.clock.advance(3_601);
      expect((await count()).users).not.toBeNull();
    },
  );

  it('shows up in the metrics, and users of a relying party that ends soon by themselves', async () => {
    await addUser('a', old);
    await name({ endsAt: inSeconds(15 * DAY) });
    await count();
    await count();
    const metrics = () =>
      Promise.all(['passkey_migrating_users', 'passkey_ending_users'].map((each) => service.readMetric(each)));
    expect(await metrics()).toEqual([1, 0]);
    service.clock.advance(2 * DAY);
    await count();
    await count();
    expect(await metrics()).toEqual([1, 1]);
    await name({ endsAt: inSeconds(-1) });
    await watchOf(service.running).tick();
    expect(await metrics()).toEqual([1, 0]);
  });
});

describe('the event of an end', () => {
  it('is recorded once over all replicas, not before, and again if the end was moved', async () => {
    const replica = await service.startReplica();
    try {
      await addUser('a', old);
      const endsAt = inSeconds(60);
      await name({ endsAt });
      await count();
      expect(await listEnds()).toEqual([]);
      service.clock.advance(61);
      const tick = () => Promise.all([service.running, replica.running].map((running) => watchOf(running).tick()));
      await tick();
      await tick();
      expect(await listEnds()).toMatchObject([
        {
          activity_name: 'Deactivate',
          unmapped: { successor: next.rpId, ended_at: endsAt, users_without_successor: 1 },
        },
      ]);
      await name({ endsAt: inSeconds(60) });
      await tick();
      service.clock.advance(61);
      await tick();
      expect(await listEnds()).toHaveLength(2);
    } finally {
      await replica.stop();
    }
  });
});
