import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { shareOutcome } from './share-outcome.js';

it('work that is requested while it runs is run once for every request', async () => {
  let runs = 0;
  const work = Promise.withResolvers<string>();
  const share = shareOutcome(() => {
    runs += 1;
    return work.promise;
  });
  const answers = [share(), share(), share()];
  work.resolve('done');
  expect([await Promise.all(answers), runs]).toEqual([['done', 'done', 'done'], 1]);
  await sleep(5);
  await share();
  expect(runs).toBe(2);
});

it('a good and a bad outcome are given to every request until they are too old', async () => {
  let runs = 0;
  const share = shareOutcome(() => Promise.reject(new Error(`failure ${String((runs += 1))}`)), 200);
  await expect(share()).rejects.toThrow('failure 1');
  await expect(share()).rejects.toThrow('failure 1');
  await sleep(220);
  await expect(share()).rejects.toThrow('failure 2');
});
