import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { FakeClock } from '../../test/support/fake-clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { ChallengeCounts } from './challenge-counts.js';

Logger.overrideLogger(false);

const AUTH = 'spiffe://bank.example/auth-service';
const SHOP = 'spiffe://bank.example/shop';
const RP = 'bank.example';

let audit: FakeAudit;
let clock: FakeClock;
let metrics: Metrics;
let counts: ChallengeCounts;
beforeEach(() => {
  [audit, clock, metrics] = [new FakeAudit(), new FakeClock(), new Metrics()];
  clock.freeze();
  counts = startReplica();
});

const startReplica = (): ChallengeCounts => new ChallengeCounts(audit.service, clock, metrics);

function issue(times: number, rpId = RP, spiffeId = AUTH): void {
  for (let done = 0; done < times; done += 1) counts.countIssued(rpId, spiffeId, 'authentication');
}

function answer(times: number, rpId = RP, spiffeId = AUTH): void {
  for (let done = 0; done < times; done += 1) counts.countAnswered(rpId, spiffeId, 'authentication');
}

const sum = (fact: 'issued' | 'answered'): number =>
  audit.entries.reduce((total, { facts }) => total + Number(facts?.[fact]), 0);
const listFacts = (): unknown[] => audit.entries.map(({ facts }) => facts);

describe('a summary of challenges', () => {
  it('says for a relying party, an identity and a ceremony how many were issued and answered, and since when', async () => {
    const since = clock.now().toISOString();
    issue(3);
    clock.advance(7);
    answer(2);
    await counts.write();
    expect(audit.entries).toEqual([
      {
        type: 'challenge.summary',
        outcome: 'success',
        rpId: RP,
        facts: { issued_to: AUTH, ceremony: 'authentication', issued: 3, answered: 2, since },
      },
    ]);
  });

  it('is one for each relying party, each identity and each ceremony', async () => {
    issue(1);
    issue(2, 'shop.example');
    issue(3, RP, SHOP);
    counts.countIssued(RP, AUTH, 'registration');
    await counts.write();
    expect(audit.entries.map(({ rpId, facts }) => [rpId, facts])).toEqual([
      [RP, expect.objectContaining({ issued_to: AUTH, ceremony: 'authentication', issued: 1 })],
      ['shop.example', expect.objectContaining({ issued_to: AUTH, ceremony: 'authentication', issued: 2 })],
      [RP, expect.objectContaining({ issued_to: SHOP, ceremony: 'authentication', issued: 3 })],
      [RP, expect.objectContaining({ issued_to: AUTH, ceremony: 'registration', issued: 1 })],
    ]);
  });

  it('counts from zero after each record, and is not recorded when there is nothing to count', async () => {
    await counts.write();
    issue(2);
    await counts.write();
    await counts.write();
    clock.advance(60);
    answer(1);
    await counts.write();
    expect(listFacts()).toMatchObject([
      { issued: 2, answered: 0 },
      { issued: 0, answered: 1, since: clock.now().toISOString() },
    ]);
  });

  it('has the answers that this replica got, so only the sum over all replicas shows what was never answered', async () => {
    issue(5);
    const other = startReplica();
    for (let done = 0; done < 3; done += 1) other.countAnswered(RP, AUTH, 'authentication');
    await counts.write();
    await other.write();
    expect(listFacts()).toMatchObject([
      { issued: 5, answered: 0 },
      { issued: 0, answered: 3 },
    ]);
    expect(sum('issued') - sum('answered')).toBe(2);
  });

  it('is recorded every minute from the start to the stop', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'performance', 'hrtime', 'Date'] });
    try {
      counts.onApplicationBootstrap();
      for (const expected of [1, 2]) {
        issue(1);
        await jest.advanceTimersByTimeAsync(59_999);
        expect(audit.entries).toHaveLength(expected - 1);
        await jest.advanceTimersByTimeAsync(1);
        expect(audit.entries).toHaveLength(expected);
      }
      await counts.stop();
      issue(1);
      await jest.advanceTimersByTimeAsync(600_000);
      expect(audit.entries).toHaveLength(2);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('challenges that are issued and answered while a summary is recorded', () => {
  it('are counted in the next one', async () => {
    const { promise, resolve: open } = Promise.withResolvers<undefined>();
    audit.gate = promise;
    issue(1);
    const writing = counts.write();
    await Promise.resolve();
    expect(audit.begun).toBe(1);
    issue(10);
    answer(4);
    open(undefined);
    await writing;
    expect(listFacts()).toMatchObject([{ issued: 1, answered: 0 }]);
    await counts.write();
    expect(listFacts()).toMatchObject([{ issued: 1 }, { issued: 10, answered: 4 }]);
  });

  it('are counted exactly once by any number of concurrent writes', async () => {
    const writes: Promise<void>[] = [];
    for (let round = 0; round < 50; round += 1) {
      for (const rpId of ['a.example', 'b.example', 'c.example']) {
        issue(3, rpId);
        answer(2, rpId);
        writes.push(counts.write().catch(() => undefined));
      }
      audit.fails = () => round % 3 === 0;
      await new Promise(setImmediate);
    }
    await Promise.all(writes);
    audit.fails = () => false;
    await counts.write();
    expect([sum('issued'), sum('answered')]).toEqual([450, 300]);
  });
});

describe('when the audit log fails', () => {
  it('the counts wait for the next time, and their summary says since when they count', async () => {
    const since = clock.now().toISOString();
    audit.fails = () => true;
    issue(3);
    await expect(counts.write()).rejects.toThrow('the database is gone');
    clock.advance(60);
    issue(4);
    answer(5);
    await expect(counts.write()).rejects.toThrow('the database is gone');
    audit.fails = () => false;
    clock.advance(60);
    await counts.write();
    expect(listFacts()).toEqual([{ issued_to: AUTH, ceremony: 'authentication', issued: 7, answered: 5, since }]);
  });

  it('what is counted during the failed try is added to it', async () => {
    const { promise, resolve: open } = Promise.withResolvers<undefined>();
    audit.gate = promise;
    audit.fails = () => true;
    issue(3);
    const writing = expect(counts.write()).rejects.toThrow('the database is gone');
    await Promise.resolve();
    issue(4);
    answer(1);
    open(undefined);
    await writing;
    audit.fails = () => false;
    await counts.write();
    expect(listFacts()).toMatchObject([{ issued: 7, answered: 1 }]);
  });

  it('one try is made and not one for each count, so that a stop does not wait for each of them', async () => {
    audit.fails = () => true;
    for (let rp = 0; rp < 100; rp += 1) issue(1, `rp-${String(rp)}.example`);
    await counts.stop();
    expect(audit.begun).toBe(1);
  });

  it('a count that cannot be recorded does not hold up the others', async () => {
    audit.fails = ({ rpId }) => rpId === RP;
    issue(1);
    for (const rpId of ['a.example', 'b.example', 'c.example']) issue(1, rpId);
    await expect(counts.write()).rejects.toThrow('the database is gone');
    await expect(counts.write()).rejects.toThrow('the database is gone');
    expect(audit.entries.map(({ rpId }) => rpId)).toEqual(['a.example', 'b.example', 'c.example']);
  });
});

describe('a stop', () => {
  it('records what is counted, after a write that is under way', async () => {
    const { promise, resolve: open } = Promise.withResolvers<undefined>();
    audit.gate = promise;
    issue(1);
    const writing = counts.write();
    await Promise.resolve();
    issue(2);
    answer(1);
    const stopped = counts.stop();
    open(undefined);
    await Promise.all([writing, stopped]);
    expect(listFacts()).toMatchObject([
      { issued: 1, answered: 0 },
      { issued: 2, answered: 1 },
    ]);
  });

  it('succeeds also when the counts cannot be recorded', async () => {
    audit.fails = () => true;
    issue(1);
    await expect(counts.stop()).resolves.toBeUndefined();
  });
});

describe('many relying parties and identities', () => {
  const MAX_COUNTS = 2_000;

  it('are counted exactly in bounded memory: those beyond the limit share one count for each ceremony', async () => {
    for (let rp = 0; rp < 10_000; rp += 1) {
      issue(2, `rp-${String(rp)}.example`);
      answer(1, `rp-${String(rp)}.example`);
      counts.countIssued(RP, `${AUTH}/${String(rp)}`, 'registration');
    }
    await counts.write();
    expect(audit.entries).toHaveLength(MAX_COUNTS + 2);
    expect([sum('issued'), sum('answered')]).toEqual([30_000, 10_000]);
    const shared = audit.entries.filter(({ rpId }) => rpId === undefined);
    expect(shared.map(({ facts }) => facts)).toMatchObject([
      { issued_to: undefined, ceremony: 'authentication', issued: 2 * 9_000, answered: 9_000 },
      { issued_to: undefined, ceremony: 'registration', issued: 9_000, answered: 0 },
    ]);
  });

  it('have counts of their own again after the record', async () => {
    for (let rp = 0; rp < 2 * MAX_COUNTS; rp += 1) issue(1, `rp-${String(rp)}.example`);
    await counts.write();
    issue(1, 'late.example');
    await counts.write();
    expect(audit.entries.at(-1)).toMatchObject({ rpId: 'late.example', facts: { issued_to: AUTH, issued: 1 } });
  });
});

describe('passkey_challenges_issued_total', () => {
  it('counts issued challenges by ceremony', async () => {
    issue(3);
    answer(2);
    counts.countIssued('shop.example', SHOP, 'registration');
    const { values } = await metrics.challengesIssued.get();
    expect(values).toEqual([
      { labels: { ceremony: 'authentication' }, value: 3 },
      { labels: { ceremony: 'registration' }, value: 1 },
    ]);
  });
});
