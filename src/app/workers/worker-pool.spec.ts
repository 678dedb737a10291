import { expect, it } from '@jest/globals';
import { computePause } from './worker-pool.js';

it.each([
  [1, 0],
  [2, 1_000],
  [3, 2_000],
  [6, 16_000],
  [7, 30_000],
  [2_000, 30_000],
])('after %p deaths in a row a replacement waits %p ms', (deaths, pause) => {
  expect(computePause(deaths)).toBe(pause);
});
