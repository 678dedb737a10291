import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { ChallengeCounts } from '../src/challenges/challenge-counts.js';
import { CeremonyCountsRepository } from '../src/statistics/ceremony-counts.repository.js';
import { StatisticsCounter } from '../src/statistics/statistics-counter.js';
import type { StatisticsResponse } from '../src/statistics/dto/statistics.response.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { type Replica, TestService } from './support/service.js';
import { until } from './support/until.js';

const HOUR = 3_600;
const MODEL = 'fbfc3007-154e-4ecc-8c0b-6e020557d7bd';

type Shown = {
  [name in 'from' | 'to' | 'rpId']: string;
} & {
  credentials: StatisticsResponse['credentials'] & { computedAt: string };
  ceremonies: StatisticsResponse['ceremonies'];
};

let service: TestService;
let other: Replica;
let login: Ceremonies<string>;
let shop: Ceremonies<string>;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
  shop = await service.relyingParty('shop.example.org');
  other = await service.startReplica();
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

const ask = (query: Record<string, string>, identity = 'operator', client = service.client): Promise<Answer<Shown>> =>
  client.call(identity, 'GET', `/v1/statistics?${new URLSearchParams(query).toString()}`);
const show = async (query: Record<string, string> = {}): Promise<Shown> =>
  requireStatus(await ask({ rpId: login.rpId, ...query }), 200);

async function sequence(): Promise<void> {
  const { app } = service.running;
  const pending = app.get(PendingEventsRepository, { strict: false });
  while ((await pending.findOldest()) !== undefined) {
    service.clock.advance(1);
    await app.get(CheckpointScheduler, { strict: false }).tick();
  }
}

/** Sequences what is pending, and counts it at both replicas at once. */
async function settle(): Promise<void> {
  const { app } = service.running;
  for (const running of [service.running, other.running])
    await running.app.get(ChallengeCounts, { strict: false }).write();
  await sequence();
  const counters = [service.running, other.running].map(({ app: each }) =>
    each.get(StatisticsCounter, { strict: false }),
  );
  // A replica that comes while another one counts leaves it to that.
  const counts = app.get(CeremonyCountsRepository, { strict: false });
  await until(async () => {
    await Promise.all(counters.map((counter) => counter.tick()));
    return !(await counts.readLog()).isBehind;
  });
}

function expectNow(time: unknown): void {
  const age = service.clock.now().getTime() - Date.parse(String(time));
  expect(age).toBeGreaterThanOrEqual(0);
  expect(age).toBeLessThan(1_000);
}

interface Counted {
  hour: string;
  ceremony: string;
  accepted: number;
  refused: Record<string, number>;
}

/** Counts the outcomes in the log one by one, without the tables of the statistics. */
async function countNaively(rpId: string): Promise<Counted[]> {
  const rows = await service.sql<{ event: string }>(
    `SELECT event FROM audit_event JOIN audit_leaf ON event_id = id
      WHERE rp_id = $1 AND type IN ('credential.register', 'credential.verify', 'confirmation.verify', 'payment.verify')`,
    [rpId],
  );
  const names: Record<string, string> = {
    ...{ 'credential.register': 'registration', 'credential.verify': 'authentication' },
    ...{ 'confirmation.verify': 'confirmation', 'payment.verify': 'payment' },
  };
  const counted = new Map<string, Counted>();
  for (const { event } of rows) {
    const {
      time,
      status,
      status_code: reason,
      metadata,
    } = JSON.parse(event) as {
      time: number;
      status: string;
      status_code?: string;
      metadata: { event_code: string };
    };
    const hour = new Date(Math.floor(time / 3_600_000) * 3_600_000).toISOString();
    const ceremony = names[metadata.event_code]!;
    const key = `${hour} ${ceremony}`;
    const one = counted.get(key) ?? { hour, ceremony, accepted: 0, refused: {} };
    if (status === 'Success') one.accepted += 1;
    else one.refused[reason!] = (one.refused[reason!] ?? 0) + 1;
    counted.set(key, one);
  }
  return [...counted.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}
const outcomes = ({ ceremonies }: Shown): Counted[] =>
  ceremonies.byHour
    .map(({ hour, ceremony, accepted, refused }) => ({ hour: String(hour), ceremony, accepted, refused }))
    .filter(({ accepted, refused }) => accepted > 0 || Object.keys(refused).length > 0);

describe('GET /v1/statistics', () => {
  it('counts nothing of a relying party where nothing has happened', async () => {
    const quiet = await service.relyingParty('quiet.example.com');
    await settle();
    const { credentials, ceremonies } = await show({ rpId: quiet.rpId });
    expect(credentials).toMatchObject({
      ...{ byStatus: { active: 0, suspended: 0, revoked: 0 }, byModel: [], otherModels: 0, byAlgorithm: [] },
      ...{ byBackup: [], byTrust: { none: 0, self: 0, untrusted: 0, trusted: 0 }, unusedFor90Days: 0 },
    });
    expect(ceremonies).toMatchObject({ since: null, begun: 0, neverAnswered: 0, byHour: [] });
    expectNow(ceremonies.computedAt);
  });

  it('counts the passkeys by status, and those that are not revoked by all else', async () => {
    const models = [
      new Authenticator({ aaguid: MODEL }),
      new Authenticator({ aaguid: MODEL, algorithm: 'RS256' }),
      new Authenticator({ backedUp: false }),
      new Authenticator({ backupEligible: false, backedUp: false }),
      new Authenticator({ aaguid: MODEL }),
    ];
    const passkeys: Credential[] = [];
    for (const model of models) passkeys.push(await shop.registered(`user-${String(passkeys.length)}`, model));
    const act = (verb: string, index: number) =>
      service.client.call('auth-service', 'POST', `/v1/credentials/${passkeys[index]!.id}/${verb}`, { reason: 'x' });
    await act('suspend', 1);
    await act('revoke', 4);
    const daysAgo = (days: number): Date => new Date(service.clock.now().getTime() - days * 24 * HOUR * 1_000);
    await service.sql(`UPDATE credential SET last_used_at = $2 WHERE id = $1`, [passkeys[0]!.id, daysAgo(1)]);
    await service.sql(`UPDATE credential SET created_at = $2 WHERE id = ANY ($1::uuid[])`, [
      passkeys.map(({ id }) => id),
      daysAgo(91),
    ]);
    const { credentials } = await show({ rpId: shop.rpId });
    expect(credentials).toEqual({
      computedAt: expect.any(String),
      byStatus: { active: 3, suspended: 1, revoked: 1 },
      byModel: [
        { aaguid: '00000000-0000-0000-0000-000000000000', name: null, credentials: 2 },
        { aaguid: MODEL, name: 'Apple Passwords', credentials: 2 },
      ],
      otherModels: 0,
      byAlgorithm: [
        { algorithm: -7, credentials: 3 },
        { algorithm: -257, credentials: 1 },
      ],
      byBackup: [
        { backupEligible: true, backedUp: true, credentials: 2 },
        { backupEligible: false, backedUp: false, credentials: 1 },
        { backupEligible: true, backedUp: false, credentials: 1 },
      ],
      byTrust: { none: 4, self: 0, untrusted: 0, trusted: 0 },
      unusedFor90Days: 3,
    });
    expectNow(credentials.computedAt);
  });

  it('counts the ceremonies by hour, outcome and reason, as the log has them, at whichever replica', async () => {
    const [authenticator, elsewhere] = [new Authenticator(), new Authenticator()];
    await login.registered('ada', authenticator);
    await shop.registered('ada', elsewhere);
    for (let hour = 0; hour < 3; hour += 1) {
      for (let turn = 0; turn <= hour; turn += 1) await login.authenticated(authenticator);
      await login.authenticate(authenticator, { interference: { flags: { UP: false } } });
      await login.authenticate(authenticator, { interference: { clientData: { origin: 'https://evil.example' } } });
      await login.register('ada', new Authenticator(), {
        interference: { clientData: { origin: 'https://evil.example' } },
      });
      await shop.authenticated(elsewhere);
      await settle();
      service.clock.advance(HOUR);
    }
    const query = { rpId: login.rpId };
    const naive = await countNaively(login.rpId);
    expect(naive).toHaveLength(6);
    const shown = await show(query);
    expect(outcomes(shown)).toEqual(naive);
    expect(naive[0]!.refused).toMatchObject({ 'origin-mismatch': 1, 'user-presence-missing': 1 });
    expect(outcomes(requireStatus(await ask(query, 'auditor', other.client), 200))).toEqual(naive);
    // Only whole hours within the range count.
    const [first] = naive;
    const to = new Date(Date.parse(first!.hour) + HOUR * 1_000).toISOString();
    expect(outcomes(await show({ from: first!.hour, to }))).toEqual(naive.slice(0, 2));
    expect(outcomes(await show({ from: to, to: new Date(Date.parse(to) + HOUR * 1_000).toISOString() }))).toEqual(
      naive.slice(2, 4),
    );
  });

  it('counts the challenges that were begun, and those that nobody answered', async () => {
    const party = await service.relyingParty('begun.example.com');
    const authenticator = new Authenticator();
    await party.registered('ada', authenticator);
    await party.authenticated(authenticator);
    await party.authenticate(authenticator, { interference: { flags: { UP: false } } });
    for (let turn = 0; turn < 4; turn += 1) requireStatus(await party.requestAuthentication({ userId: 'ada' }), 201);
    await settle();
    const { ceremonies } = await show({ rpId: party.rpId });
    expect(ceremonies).toMatchObject({ begun: 7, neverAnswered: 4 });
    expect(ceremonies.byHour).toEqual([
      expect.objectContaining({ ceremony: 'authentication', begun: 6, answered: 2, accepted: 1 }),
      expect.objectContaining({ ceremony: 'registration', begun: 1, answered: 1, accepted: 1, refused: {} }),
    ]);
  });

  it.each([
    ['until they are counted, if another session holds up the counter', 'statistic_log'],
    ['until they are in the log, if another session holds up the log', 'audit_turn'],
  ])('says how old its counts are while events wait %s', async (_, table) => {
    await settle();
    expectNow((await show()).ceremonies.computedAt);
    const before = service.clock.now().getTime();
    const session = new pg.Client({ connectionString: service.database.ownerUrl });
    await session.connect();
    await session.query(`BEGIN; SELECT FROM ${table} FOR UPDATE`);
    try {
      service.clock.advance(600);
      await login.register(`late-${table}`, new Authenticator());
      // Other events of the minute may wait beside that of the registration.
      await until(async () => (await service.sql('SELECT FROM audit_pending')).length > 0 === (table === 'audit_turn'));
      await service.running.app.get(StatisticsCounter, { strict: false }).tick();
      const { computedAt } = (await show()).ceremonies;
      expect(Date.parse(String(computedAt))).toBeLessThan(before + 1_000);
    } finally {
      await session.query('ROLLBACK');
      await session.end();
    }
    await settle();
    expectNow((await show()).ceremonies.computedAt);
  });

  it('has a time for the alert, which stands still while the counts do not get on', async () => {
    const read = async (counts: string): Promise<number> => {
      const text = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
      const name = 'passkey_statistics_current_timestamp_seconds';
      return Number(new RegExp(`^${name}\\{counts="${counts}"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    };
    const now = (): number => service.clock.now().getTime() / 1_000;
    await settle();
    await service.sql(`ALTER TABLE statistic_log ADD CONSTRAINT stop CHECK (next_leaf < 0) NOT VALID`);
    try {
      await login.register('late', new Authenticator());
      await sequence();
      const since = await read('ceremonies');
      service.clock.advance(1_000);
      await service.running.app.get(StatisticsCounter, { strict: false }).tick();
      expect(await read('ceremonies')).toBe(since);
      expect(await read('passkeys')).toBeCloseTo(now(), 0);
    } finally {
      await service.sql(`ALTER TABLE statistic_log DROP CONSTRAINT stop`);
    }
    // The service's own counter may be at it just then.
    await until(async () => {
      await settle();
      return now() - (await read('ceremonies')) < 5;
    });
  });

  it.each<[string, () => Record<string, string>, string]>([
    [
      'a beginning that is no whole hour',
      () => ({ from: '2026-03-01T09:30:00Z', to: '2026-03-01T10:00:00Z' }),
      '/from',
    ],
    ['an end that is no whole hour', () => ({ from: '2026-03-01T09:00:00Z', to: '2026-03-01T10:00:00.001Z' }), '/to'],
    ['a whole hour of another time zone', () => ({ from: '2026-03-01T09:00:00+05:30' }), '/from'],
    ['no hour at all', () => ({ from: '2026-03-01T09:00:00Z', to: '2026-03-01T09:00:00Z' }), '/from'],
    ['an end before the beginning', () => ({ from: '2026-03-01T09:00:00Z', to: '2026-02-01T09:00:00Z' }), '/from'],
    ['31 days and an hour', () => ({ from: '2026-03-01T00:00:00Z', to: '2026-04-01T01:00:00Z' }), '/from'],
    ['a day', () => ({ from: '2026-03-01' }), '/from'],
    ['the beginning of all time', () => ({ from: '0000-01-01T00:00:00Z' }), '/from'],
    ['an end in the year 0', () => ({ to: '0000-06-01T00:00:00Z' }), '/to'],
    ['an end whose day before begins in the year 0', () => ({ to: '0001-01-01T23:00:00Z' }), '/to'],
    ['an end that is in the year 10000 of UTC', () => ({ to: '9999-12-31T23:00:00-01:00' }), '/to'],
    ['a member that is not known', () => ({ interval: 'day' }), '/interval'],
  ])('refuses %s, and says where', async (_, query, pointer) => {
    const invalid = [expect.objectContaining({ pointer })];
    expect(await ask({ rpId: login.rpId, ...query() })).toMatchObject(
      makeProblem(400, 'request-malformed', { invalid }),
    );
  });

  it('takes 31 days, from whatever year', async () => {
    const { from, to, ceremonies } = await show({ from: '0001-01-01T00:00:00Z', to: '0001-02-01T00:00:00Z' });
    expect({ from, to }).toEqual({ from: '0001-01-01T00:00:00.000Z', to: '0001-02-01T00:00:00.000Z' });
    expect(ceremonies.byHour).toEqual([]);
    await show({ from: '2026-03-01T05:30:00+05:30', to: '2026-04-01T00:00:00Z' });
  });

  it('knows no relying party that nobody has made', async () => {
    expect(await ask({ rpId: 'nowhere.example' })).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});
