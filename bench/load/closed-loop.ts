import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.js';
import type { Operation } from './scenarios.js';
import type { Tally } from './tally.js';

/** The value of `Retry-After`. */
const RETRY_MS = 1_000;

/**
 * Each client begins its next operation when its last one has ended. This shows the contender's capacity, not its latency.
 * A client that a full server refuses comes back after a second.
 */
export async function closedLoop(connections: Connection[], operation: Operation, tally: Tally): Promise<void> {
  const client = async (connection: Connection): Promise<void> => {
    while (performance.now() < tally.end) {
      const taken = await tally.count(() => operation(connection));
      if (!taken) await sleep(RETRY_MS);
    }
  };
  await Promise.all(connections.map(client));
}
