import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.js';
import type { Operation } from './scenarios.js';
import type { Tally } from './tally.js';

/**
 * Operations begin when they are due, even if earlier ones have not ended. Their wait for a free connection counts, so a
 * server that stalls pays for all operations that were due meanwhile (no coordinated omission).
 */
export async function openLoop(
  connections: Connection[],
  operation: Operation,
  tally: Tally,
  perSecond: number,
): Promise<void> {
  const free = [...connections];
  const waiting: ((connection: Connection) => void)[] = [];
  const release = (connection: Connection): void => {
    const next = waiting.shift();
    if (next) next(connection);
    else free.push(connection);
  };
  const take = async (): Promise<Connection> =>
    free.pop() ?? new Promise<Connection>((resolve) => waiting.push(resolve));
  const run = async (): Promise<void> => {
    let connection = await take();
    try {
      connection = await connection.usable();
      await operation(connection);
    } finally {
      release(connection);
    }
  };
  const start = performance.now();
  const running: Promise<unknown>[] = [];
  for (const due of arrivals(perSecond, tally.end - start)) {
    const intended = start + due;
    while (performance.now() < intended) await sleep(Math.max(1, intended - performance.now()));
    running.push(tally.count(run, intended));
  }
  await Promise.all(running);
}

/**
 * Returns the due times of operations in milliseconds: a Poisson process, like many independent callers. The same arguments
 * give the same times.
 */
export function arrivals(perSecond: number, length: number): number[] {
  const random = seeded(20_260_101);
  const times: number[] = [];
  for (let time = 0; ;) {
    time += (-Math.log(1 - random()) * 1_000) / perSecond;
    if (time >= length) return times;
    times.push(time);
  }
}

/** Returns a mulberry32 generator: uniform in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
