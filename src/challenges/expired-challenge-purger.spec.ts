import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { Metrics } from '../telemetry/metrics.js';
import { ChallengeRepository } from './challenge.repository.js';
import { ExpiredChallengePurger } from './expired-challenge-purger.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');

let database: TestDataSource;
let now: Date;
let challenges: ChallengeRepository;
let expired: ExpiredChallengePurger;
beforeAll(async () => {
  database = await openTestDataSource();
  challenges = new ChallengeRepository({ through: database.dataSource, metrics: new Metrics() }, database.dataSource);
});
beforeEach(async () => {
  now = NOW;
  expired = new ExpiredChallengePurger(challenges, { now: () => now });
  await database.sql('TRUNCATE challenge');
});
afterAll(() => database.close());

/** Lists the ids of the challenges. Only replicas of the previous version store them. */
async function listChallenges(): Promise<string[]> {
  return (await database.sql<{ id: string }>('SELECT id FROM challenge ORDER BY id')).map(({ id }) => id);
}

async function insertChallenges(count: number, msFromNow = 0): Promise<string[]> {
  const rows = await database.sql<{ id: string }>(
    `INSERT INTO challenge SELECT gen_random_uuid(), 'a', NULL, 'authentication', NULL, '', 'x', FALSE, NULL, $1::timestamptz
       FROM generate_series(1, $2) RETURNING id`,
    [new Date(NOW.getTime() + msFromNow), count],
  );
  return rows.map(({ id }) => id);
}

async function insertChallenge(msFromNow: number): Promise<string> {
  const [id] = await insertChallenges(1, msFromNow);
  return id!;
}

describe('challenges that were never answered', () => {
  it('are removed after they expire, and not before', async () => {
    await insertChallenge(-60_000);
    await insertChallenge(0);
    const [soon, later] = [await insertChallenge(1), await insertChallenge(60_000)];
    expect(await expired.purge()).toBe(2);
    expect(await listChallenges()).toEqual([soon, later].toSorted());
    now = new Date(NOW.getTime() + 1);
    expect(await expired.purge()).toBe(1);
    expect(await listChallenges()).toEqual([later]);
  });

  it('may be none', async () => {
    expect(await expired.purge()).toBe(0);
  });

  it.each([999, 1_000, 1_001, 2_500])('are removed in batches of a thousand: %i', async (count) => {
    await insertChallenges(count);
    expect(await expired.purge()).toBe(count);
    expect(await listChallenges()).toEqual([]);
  });

  it('are shared among replicas, which do not wait for each other', async () => {
    await insertChallenges(5_000);
    const replicas = Array.from({ length: 4 }, () => new ExpiredChallengePurger(challenges, { now: () => now }));
    const cleared = await Promise.all(replicas.map((replica) => replica.purge()));
    expect(cleared.reduce((sum, count) => sum + count, 0)).toBe(5_000);
    expect(await listChallenges()).toEqual([]);
  });

  it('are left alone while a request of the previous version redeems one', async () => {
    const answered = await insertChallenge(-1);
    await insertChallenge(-2);
    await database.dataSource.transaction(async (manager) => {
      await manager.query('SELECT * FROM challenge WHERE id = $1 FOR UPDATE', [answered]);
      expect(await expired.purge()).toBe(1);
    });
    expect(await listChallenges()).toEqual([answered]);
  });

  it('are removed every ten seconds, and a stop waits for it', async () => {
    jest.useFakeTimers({
      doNotFake: ['Date', 'setTimeout', 'clearTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'],
    });
    try {
      expired.onApplicationBootstrap();
      await insertChallenges(10);
      jest.advanceTimersByTime(9_999);
      await new Promise(setImmediate);
      expect(await listChallenges()).toHaveLength(10);
      jest.advanceTimersByTime(1);
      await expired.beforeApplicationShutdown();
      expect(await listChallenges()).toEqual([]);
      await insertChallenges(10);
      jest.advanceTimersByTime(60_000);
      await expired.beforeApplicationShutdown();
      expect(await listChallenges()).toHaveLength(10);
    } finally {
      jest.useRealTimers();
    }
  });

  it('keep no process alive, and none is being removed when the service has stopped', async () => {
    expired.onApplicationBootstrap();
    await expired.beforeApplicationShutdown();
    await insertChallenges(10);
    expect(await listChallenges()).toHaveLength(10);
  });
});
