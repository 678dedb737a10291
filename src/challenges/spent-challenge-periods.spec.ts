import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { FakeClock } from '../../test/support/fake-clock.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { toFirstId } from '../audit/audit-event.repository.js';
import type { Clock } from '../config/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { SpentChallengePeriods } from './spent-challenge-periods.js';

Logger.overrideLogger(false);

const HOUR = 3_600;
const DAY = 24 * HOUR;
const PERIOD_MS = 6 * HOUR * 1_000;
const NO_PARTITION = '23514';
const LOCK_NOT_AVAILABLE = '55P03';
const INVALID_VALUE = '22023';

let database: TestDataSource;
let clock: FakeClock;
let metrics: Metrics;
let periods: SpentChallengePeriods;
const sessions: pg.Client[] = [];
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  await database.sql(`
    DO $$
    DECLARE
      partition regclass;
    BEGIN
      FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'spent_challenge'::regclass LOOP
        EXECUTE format('DROP TABLE %s', partition);
      END LOOP;
      UPDATE spent_challenge_horizon SET period = 0;
    END $$`);
  clock = new FakeClock();
  clock.freeze();
  metrics = new Metrics();
  periods = newReplica();
});
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.end())));
afterAll(() => database.close());

const newReplica = (of: Clock = clock): SpentChallengePeriods =>
  new SpentChallengePeriods(database.dataSource, of, metrics);

/** Makes a clock that is ahead of the others, or behind them. */
const clockAhead = (seconds: number): Clock => ({ now: () => new Date(clock.now().getTime() + seconds * 1_000) });

const present = (): number => Math.floor(clock.now().getTime() / PERIOD_MS);

/** Lists the periods that have a partition, relative to the present one. */
async function listPeriods(): Promise<number[]> {
  const rows = await database.sql<{ name: string; bounds: string }>(
    `SELECT relname AS name, pg_get_expr(relpartbound, pg_class.oid) AS bounds
       FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'spent_challenge'::regclass`,
  );
  const numbers = rows.map(({ name, bounds }) => {
    const n = Number(name.replace('spent_challenge_', ''));
    expect(bounds).toBe(`FOR VALUES FROM ('${toFirstId(n * PERIOD_MS)}') TO ('${toFirstId((n + 1) * PERIOD_MS)}')`);
    return n - present();
  });
  return numbers.sort((a, b) => a - b);
}

/** The test database, which may be out of reach. */
class SeveredDatabase {
  isAway = true;

  query<T>(sql: string, values?: unknown[]): Promise<T> {
    if (this.isAway) return Promise.reject(new Error('connection terminated'));
    return database.dataSource.query<T>(sql, values);
  }
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** Makes a UUIDv7 of a time. */
const makeId = (time: number): string =>
  `${toFirstId(time).slice(0, 14)}7${randomBytes(2).toString('hex').slice(1)}-8000-${randomBytes(6).toString('hex')}`;

/** Makes the statement of an outcome: true for the one that spent the challenge. */
async function spend(id: string): Promise<boolean> {
  const spent = await database.dataSource.query<unknown[]>(
    'INSERT INTO spent_challenge VALUES ($1) ON CONFLICT DO NOTHING RETURNING id',
    [id],
  );
  return spent.length === 1;
}

const failWith = async (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: unknown) => (error as { driverError: { code: string } }).driverError.code,
  );

/** Makes a session that has locked the table and keeps it. */
async function hold(sql: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString: database.ownerUrl });
  sessions.push(session);
  await session.connect();
  await session.query('BEGIN');
  await session.query(sql);
  return session;
}

const make = (time: Date): Promise<unknown> =>
  database.dataSource.query('SELECT spent_challenge_make_periods($1::timestamptz)', [time]);

/** Makes a period that ended long ago, as a replica made it in time, and spends a challenge of it. */
async function spendLongAgo(seconds: number): Promise<string> {
  const then = clockAhead(-seconds);
  await newReplica(then).make();
  const id = makeId(then.now().getTime());
  expect(await spend(id)).toBe(true);
  return id;
}

describe('the periods of spent challenges', () => {
  it('are made from the one before the present to four days ahead, and no other', async () => {
    await periods.make();
    expect(await listPeriods()).toEqual(range(-1, 16));
    expect(periods.end).toEqual(new Date((present() + 17) * PERIOD_MS));
    const [{ value } = { value: 0 }] = (await metrics.spentChallengePeriodsEnd.get()).values;
    expect(value * 1_000).toBe(periods.end?.getTime());
  });

  it('are made once, however often, and further ones as time goes on', async () => {
    for (let n = 0; n < 3; n += 1) await periods.make();
    expect(await listPeriods()).toEqual(range(-1, 16));
    clock.advance(6 * HOUR);
    await periods.make();
    expect(await listPeriods()).toEqual(range(-2, 16));
  });

  it('are made by ten replicas at once', async () => {
    await Promise.all(Array.from({ length: 10 }, () => newReplica().make()));
    expect(await listPeriods()).toEqual(range(-1, 16));
  });

  it('are made in one run for concurrent calls', async () => {
    const runs = Array.from({ length: 10 }, () => periods.make());
    expect(new Set(runs).size).toBe(1);
    await Promise.all(runs);
    expect(periods.make()).not.toBe(runs[0]);
    await periods.make();
  });

  it.each(['infinity', '-infinity', '2019-12-31T23:59:59Z', '2200-01-01T00:00:01Z'])(
    'are neither made nor dropped for the time %s',
    async (time) => {
      for (const step of ['make', 'drop']) {
        const sql = `SELECT spent_challenge_${step}_periods($1::timestamptz)`;
        expect(await failWith(database.dataSource.query(sql, [time]))).toBe(INVALID_VALUE);
      }
      expect(await listPeriods()).toEqual([]);
    },
  );

  it('are left alone by autovacuum, which could only freeze rows that go soon', async () => {
    await periods.make();
    const rows = await database.sql<{ options: string[] }>(
      `SELECT DISTINCT reloptions AS options FROM pg_class WHERE relname ~ '^spent_challenge_\\d+$'`,
    );
    expect(rows).toEqual([{ options: ['autovacuum_enabled=off'] }]);
  });
});

describe('a challenge', () => {
  it('is spent by one of many statements at once', async () => {
    await periods.make();
    const id = makeId(clock.now().getTime());
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => spend(id)));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    expect(await spend(id)).toBe(false);
  });

  it('is spent in the period of its id, up to the last millisecond of it', async () => {
    await periods.make();
    const first = present() * PERIOD_MS;
    for (const [time, n] of [
      [first - 1, -1],
      [first, 0],
      [first + PERIOD_MS - 1, 0],
      [first + PERIOD_MS, 1],
    ] as const) {
      const id = makeId(time);
      expect(await spend(id)).toBe(true);
      const rows = await database.sql('SELECT FROM spent_challenge WHERE id = $1 AND tableoid::regclass::text = $2', [
        id,
        `spent_challenge_${String(present() + n)}`,
      ]);
      expect(rows).toHaveLength(1);
    }
  });

  it.each([
    ['before', -30 * HOUR],
    ['after', 5 * DAY],
  ])('of a time %s the periods that exist cannot be spent', async (_, seconds) => {
    await periods.make();
    expect(await failWith(spend(makeId(clockAhead(seconds).now().getTime())))).toBe(NO_PARTITION);
  });
});

describe('a period that ended 12 hours ago', () => {
  it('is dropped, and its challenges can never be spent again, even by a replica with a slow clock', async () => {
    const id = await spendLongAgo(5 * DAY);
    await periods.make();
    expect(await listPeriods()).toEqual([...range(-21, -4), ...range(-1, 16)]);
    await periods.drop();
    expect(await listPeriods()).toEqual(range(-1, 16));
    expect(await failWith(spend(id))).toBe(NO_PARTITION);

    const slow = newReplica(clockAhead(-5 * DAY));
    await slow.make();
    await slow.drop();
    expect(await listPeriods()).toEqual(range(-1, 16));
    expect(await failWith(spend(id))).toBe(NO_PARTITION);
    await expect(slow.onApplicationBootstrap()).rejects.toThrow('has no partition for the present time');
  });

  it('is kept while the clock of the database does not agree', async () => {
    await periods.make();
    const id = makeId(clock.now().getTime());
    await spend(id);
    const fast = newReplica(clockAhead(30 * DAY));
    await fast.make();
    await fast.drop();
    expect((await listPeriods()).slice(0, 18)).toEqual(range(-1, 16));
    expect(await spend(id)).toBe(false);
  });

  it('is kept while the clock of the replica does not agree', async () => {
    const id = await spendLongAgo(5 * DAY);
    const slow = newReplica(clockAhead(-5 * DAY + 5 * HOUR));
    await slow.drop();
    expect((await listPeriods())[0]).toBe(-21);
    expect(await spend(id)).toBe(false);
  });

  it('is dropped by one of ten replicas at once, also when many have ended', async () => {
    for (const days of [20, 15, 10, 5]) await spendLongAgo(days * DAY);
    await periods.make();
    await Promise.all(Array.from({ length: 10 }, () => newReplica().drop()));
    await periods.drop();
    expect(await listPeriods()).toEqual(range(-1, 16));
  });

  it('is not made again by a transaction that began before it was dropped', async () => {
    await spendLongAgo(5 * DAY);
    const old = await hold(
      'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT period FROM spent_challenge_horizon',
    );
    await periods.drop();
    const made = old.query('SELECT spent_challenge_make_periods($1)', [clockAhead(-5 * DAY).now()]);
    await expect(made).rejects.toMatchObject({ code: '40001' });
    expect(await listPeriods()).toEqual([]);
  });
});

describe('a session that holds the table', () => {
  it('keeps periods from being made, fast, until it ends', async () => {
    const holder = await hold('LOCK TABLE ONLY spent_challenge IN SHARE UPDATE EXCLUSIVE MODE');
    expect(await failWith(make(clock.now()))).toBe(LOCK_NOT_AVAILABLE);
    const making = periods.make();
    await holder.query('COMMIT');
    await making;
    expect(await listPeriods()).toEqual(range(-1, 16));
  });

  it('and does not end leaves no period for challenges, and says so', async () => {
    await hold('LOCK TABLE ONLY spent_challenge IN SHARE UPDATE EXCLUSIVE MODE');
    await expect(periods.onApplicationBootstrap()).rejects.toThrow('has no partition for the present time');
    expect(periods.end).toEqual(new Date(present() * PERIOD_MS));
  });

  it('does not keep a replica from starting when the present period exists', async () => {
    await periods.make();
    await hold('LOCK TABLE ONLY spent_challenge IN SHARE UPDATE EXCLUSIVE MODE');
    clock.advance(DAY);
    const other = newReplica();
    await other.onApplicationBootstrap();
    expect(other.end).toEqual(new Date((present() + 13) * PERIOD_MS));
    await other.beforeApplicationShutdown();
  });

  it('to read it keeps periods from being dropped, but not from being made, and spending goes on', async () => {
    const id = await spendLongAgo(5 * DAY);
    const reader = await hold('SELECT count(*) FROM spent_challenge');
    await periods.drop();
    await periods.make();
    expect(await listPeriods()).toEqual([...range(-21, -4), ...range(-1, 16)]);
    expect([await spend(id), await spend(makeId(clock.now().getTime()))]).toEqual([false, true]);
    await reader.query('COMMIT');
    await periods.drop();
    expect(await listPeriods()).toEqual(range(-1, 16));
  });
});

describe('a replica', () => {
  it('that may not make periods starts only when the present one exists', async () => {
    const other = newReplica();
    await database.sql('ALTER FUNCTION spent_challenge_make_periods RENAME TO gone');
    try {
      await expect(other.onApplicationBootstrap()).rejects.toThrow('has no partition for the present time');
      await database.sql('SELECT gone($1)', [clock.now()]);
      await other.onApplicationBootstrap();
      await other.beforeApplicationShutdown();
    } finally {
      await database.sql('ALTER FUNCTION gone RENAME TO spent_challenge_make_periods');
    }
  });

  it('keeps what it knows while the database is away, and does not start before it knows', async () => {
    const severed = new SeveredDatabase();
    const other = new SpentChallengePeriods(severed, clock, metrics);
    await expect(other.onApplicationBootstrap()).rejects.toThrow('has no partition for the present time');
    expect(other.end).toBeUndefined();
    severed.isAway = false;
    await other.tendIfDue();
    const { end } = other;
    expect(end?.getTime()).toBe((present() + 17) * PERIOD_MS);
    severed.isAway = true;
    clock.advance(6 * HOUR);
    await other.tendIfDue();
    expect(other.end).toEqual(end);
  });

  it('makes and drops periods every ten minutes, and sooner while the present one is missing', async () => {
    await spendLongAgo(5 * DAY);
    await periods.make();
    await periods.tendIfDue();
    expect(await listPeriods()).toEqual(range(-1, 16));
    const last = `spent_challenge_${String(present() + 16)}`;
    const exists = async (): Promise<boolean> =>
      (await database.sql(`SELECT FROM pg_class WHERE relname = '${last}'`)).length === 1;
    await database.sql(`DROP TABLE ${last}`);
    clock.advance(599);
    await periods.tendIfDue();
    expect(await exists()).toBe(false);
    clock.advance(1);
    await periods.tendIfDue();
    expect(await exists()).toBe(true);
    clock.advance(5 * DAY);
    await periods.tendIfDue();
    expect(periods.end?.getTime()).toBe((present() + 17) * PERIOD_MS);
    // The clock is set back.
    clock.advance(-5 * DAY);
    await database.sql(`DROP TABLE ${last}`);
    await periods.tendIfDue();
    expect(await exists()).toBe(true);
  });

  it('looks every ten seconds until it stops, and a stop waits for it', async () => {
    jest.useFakeTimers({
      doNotFake: ['Date', 'setTimeout', 'clearTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'],
    });
    try {
      await periods.onApplicationBootstrap();
      clock.advance(5 * DAY);
      jest.advanceTimersByTime(9_999);
      expect((await listPeriods()).at(-1)).toBe(-4);
      jest.advanceTimersByTime(1);
      await periods.beforeApplicationShutdown();
      expect((await listPeriods()).at(-1)).toBe(16);
      clock.advance(5 * DAY);
      jest.advanceTimersByTime(60_000);
      await periods.beforeApplicationShutdown();
      expect((await listPeriods()).at(-1)).toBe(-4);
    } finally {
      jest.useRealTimers();
    }
  });
});
