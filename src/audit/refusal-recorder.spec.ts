import { beforeEach, describe, expect, it } from '@jest/globals';
import { type RefusedEvent, RefusalRecorder } from './refusal-recorder.js';

const BOUNDS = { records: 3, answers: 10, keys: 4, writing: 100 };
const START = 1_800_000_000_000;

let written: RefusedEvent[];
let failure: Error | undefined;
let records: RefusalRecorder;
let now: number;
beforeEach(() => {
  [written, failure, now] = [[], undefined, START];
  records = new RefusalRecorder(BOUNDS, record);
});

function record(refusal: RefusedEvent): Promise<void> {
  if (failure) return Promise.reject(failure);
  written.push(refusal);
  return Promise.resolve();
}

/** Refuses requests of a key. @returns the answer to the last one */
async function refuse(key: string, times: number): Promise<number> {
  let retryAfter = 0;
  for (let time = 0; time < times; time += 1) {
    const context = { requestId: `${key} ${String(time)}`, operation: 'GET /', source: { ip: key, port: 1 } };
    const entry = { type: 'access.denied', outcome: 'failure', reason: 'permission-denied' } as const;
    retryAfter = await records.refuse(key, { context, entry, time: new Date(now) });
  }
  return retryAfter;
}

const countBefore = ({ entry: { facts } }: RefusedEvent): number => Number(facts?.['refused_before_unrecorded'] ?? 0);
const listWritten = (key: string): RefusedEvent[] => written.filter(({ context }) => context?.source.ip === key);
const sumRefusals = (refusals = written): number =>
  refusals.reduce((sum, refusal) => sum + 1 + countBefore(refusal), 0);

describe('the refusals of one key', () => {
  it('are recorded one by one up to the limit for a minute, and then only counted', async () => {
    await refuse('a', 100);
    expect(written.map(({ context }) => context?.requestId)).toEqual(['a 0', 'a 1', 'a 2']);
    expect(records.unrecorded).toBe(97);
  });

  it('are all counted in the next record', async () => {
    await refuse('a', 100);
    now += 60_000;
    await refuse('a', 1);
    expect(written.map(countBefore)).toEqual([0, 0, 0, 97]);
    expect(sumRefusals()).toBe(101);
  });

  it('are all counted in a record of the newest refusal, with its time, when no other follows', async () => {
    await refuse('a', 99);
    now += 5_000;
    await refuse('a', 1);
    now += 5_000;
    await records.write(new Date(now));
    expect(written.at(-1)).toMatchObject({
      time: new Date(START + 5_000),
      entry: { facts: { refused_before_unrecorded: 96 } },
    });
    await records.write(new Date(now));
    expect(sumRefusals()).toBe(100);
  });

  it('are not answered until the minute is over when they are too many for it', async () => {
    now += 15_000;
    expect(await refuse('a', 10)).toBe(0);
    now += 15_000;
    expect(await refuse('a', 1)).toBe(45);
    expect(await refuse('b', 1)).toBe(0);
    now += 45_000;
    expect(await refuse('a', 1)).toBe(0);
  });

  it('are still counted when the clock goes back', async () => {
    await refuse('a', 5);
    now -= 3_600_000;
    await refuse('a', 5);
    await records.write(new Date(now));
    expect(sumRefusals()).toBe(10);
  });
});

describe('a flood of refusals with many keys', () => {
  it('is counted exactly, in bounded memory and by bounded records', async () => {
    for (let key = 0; key < 10_000; key += 1) await refuse(`key-${String(key)}`, 2);
    expect(written).toHaveLength(4 * 2 + 3);
    await records.write(new Date(now));
    expect(sumRefusals()).toBe(20_000);
    expect(written).toHaveLength(4 * 2 + 3 + 1);
    expect((records as unknown as { counts: Map<string, unknown> }).counts.size).toBe(5);
  });

  it('leaves room for other refusals when its minute is over', async () => {
    for (let key = 0; key < 100; key += 1) await refuse(`key-${String(key)}`, 1);
    now += 60_000;
    await records.write(new Date(now));
    await refuse('late', 3);
    expect(listWritten('late')).toHaveLength(3);
  });
});

describe('when the log cannot be written', () => {
  it('a refusal fails with the error of its record, and is still counted', async () => {
    failure = new Error('the database is gone');
    await expect(refuse('a', 1)).rejects.toThrow('the database is gone');
    await expect(records.write(new Date(now))).rejects.toThrow('the database is gone');
    failure = undefined;
    await refuse('a', 1);
    expect(written.map(countBefore)).toEqual([1]);
  });

  it('only as many records wait as may be written at a time', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<undefined>();
    records = new RefusalRecorder({ ...BOUNDS, records: 100, writing: 2 }, async (refusal) => {
      await gate;
      await record(refusal);
    });
    const refused = Array.from({ length: 50 }, () => refuse('a', 1));
    await Promise.all(refused.slice(2));
    open(undefined);
    await Promise.all(refused);
    await records.write(new Date(now));
    expect(written).toHaveLength(3);
    expect(sumRefusals()).toBe(50);
  });
});
