import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { ChallengeEntity } from './challenge.entity.js';
import { ChallengeRepository } from './challenge.repository.js';
import { ExpiredChallengePurger } from './expired-challenge-purger.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');

let database: TestDataSource;
let now: Date;
let challenges: ChallengeRepository;
let expired: ExpiredChallengePurger;
beforeAll(async () => {
  database = await openTestDataSource();
  challenges = new ChallengeRepository({ through: database.dataSource }, database.dataSource);
});
beforeEach(async () => {
  now = NOW;
  expired = new ExpiredChallengePurger(challenges, { now: () => now });
  await database.sql('TRUNCATE challenge');
});
afterAll(() => database.close());

const getChallenges = () => database.dataSource.getRepository(ChallengeEntity);

async function insertChallenge(msFromNow: number): Promise<string> {
  const id = randomUUID();
  await getChallenges().insert({
    id,
    rpId: 'a.example',
    userId: null,
    ceremony: 'authentication',
    purpose: null,
    challenge: Buffer.alloc(32),
    issuedTo: 'x',
    conditional: false,
    attachment: null,
    expiresAt: new Date(NOW.getTime() + msFromNow),
  });
  return id;
}

const insertChallenges = (count: number): Promise<unknown> =>
  database.dataSource.query(
    `INSERT INTO challenge SELECT gen_random_uuid(), 'a', NULL, 'authentication', NULL, '', 'x', FALSE, NULL, $1::timestamptz
       FROM generate_series(1, $2)`,
    [NOW, count],
  );

describe('challenges that were never answered', () => {
  it('are removed after they expire, and not before', async () => {
    await insertChallenge(-60_000);
    await insertChallenge(0);
    const [soon, later] = [await insertChallenge(1), await insertChallenge(60_000)];
    expect(await expired.purge()).toBe(2);
    expect((await getChallenges().find()).map(({ id }) => id).sort()).toEqual([soon, later].sort());
    now = new Date(NOW.getTime() + 1);
    expect(await expired.purge()).toBe(1);
    expect((await getChallenges().find()).map(({ id }) => id)).toEqual([later]);
  });

  it('may be none', async () => {
    expect(await expired.purge()).toBe(0);
  });

  it.each([999, 1_000, 1_001, 2_500])('are removed in batches of a thousand: %i', async (count) => {
    await insertChallenges(count);
    expect(await expired.purge()).toBe(count);
    expect(await getChallenges().count()).toBe(0);
  });

  it('are shared among replicas, which do not wait for each other', async () => {
    await insertChallenges(5_000);
    const replicas = Array.from({ length: 4 }, () => new ExpiredChallengePurger(challenges, { now: () => now }));
    const cleared = await Promise.all(replicas.map((replica) => replica.purge()));
    expect(cleared.reduce((sum, count) => sum + count, 0)).toBe(5_000);
    expect(await getChallenges().count()).toBe(0);
  });

  it('are left alone while a request redeems one', async () => {
    const [answered, forgotten] = [await insertChallenge(-1), await insertChallenge(-2)];
    await database.dataSource.transaction(async (manager) => {
      await manager.query('SELECT * FROM challenge WHERE id = $1 FOR UPDATE', [answered]);
      expect(await expired.purge()).toBe(1);
    });
    expect(await getChallenges().existsBy({ id: answered })).toBe(true);
    expect(await getChallenges().existsBy({ id: forgotten })).toBe(false);
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
      expect(await getChallenges().count()).toBe(10);
      jest.advanceTimersByTime(1);
      await expired.beforeApplicationShutdown();
      expect(await getChallenges().count()).toBe(0);
      await insertChallenges(10);
      jest.advanceTimersByTime(60_000);
      await expired.beforeApplicationShutdown();
      expect(await getChallenges().count()).toBe(10);
    } finally {
      jest.useRealTimers();
    }
  });

  it('keep no process alive, and none is being removed when the service has stopped', async () => {
    expired.onApplicationBootstrap();
    await expired.beforeApplicationShutdown();
    await insertChallenges(10);
    expect(await getChallenges().count()).toBe(10);
  });
});
