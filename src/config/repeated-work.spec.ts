import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { RepeatedWork } from './repeated-work.js';

it('never runs twice at once, goes on after a failure, and ends when what is under way has', async () => {
  const failures: unknown[] = [];
  let [runs, atOnce, most] = [0, 0, 0];
  const work = new RepeatedWork(
    async () => {
      most = Math.max(most, (atOnce += 1));
      await sleep(5);
      atOnce -= 1;
      runs += 1;
      if (runs === 1) throw new Error('away');
    },
    (error) => failures.push(error),
  );
  work.begin(1);
  while (runs < 3) await sleep(1);
  await work.end();
  expect([atOnce, most, failures]).toEqual([0, 1, [new Error('away')]]);
  const done = runs;
  await sleep(20);
  expect(runs).toBe(done);
});
