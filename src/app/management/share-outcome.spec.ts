import { beforeEach, expect, it } from '@jest/globals';
import { shareOutcome } from './share-outcome.js';

let now: number;
beforeEach(() => {
  now = 5_000;
});
const readTime = (): number => now;

it('work that is requested while it runs is run once for every request', async () => {
  let runs = 0;
  const work = Promise.withResolvers<string>();
  const run = (): Promise<string> => {
    runs += 1;
    return work.promise;
  };
  const share = shareOutcome(run, 0, readTime);
  const answers = [share(), share(), share()];
  work.resolve('done');
  expect([await Promise.all(answers), runs]).toEqual([['done', 'done', 'done'], 1]);
  now += 1;
  await share();
  expect(runs).toBe(2);
});

it('a good and a bad outcome are given to every request until they are too old', async () => {
  let runs = 0;
  const share = shareOutcome(() => Promise.reject(new Error(`failure ${String((runs += 1))}`)), 200, readTime);
  await expect(share()).rejects.toThrow('failure 1');
  now += 200;
  await expect(share()).rejects.toThrow('failure 1');
  now += 1;
  await expect(share()).rejects.toThrow('failure 2');
});
