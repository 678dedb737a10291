import { performance } from 'node:perf_hooks';
import type { Connection } from './connection.js';
import type { Operation } from './scenarios.js';
import type { Tally } from './tally.js';

/** Each client begins its next operation when its last one has ended: what the contender can do, not how long it takes. */
export async function closedLoop(connections: Connection[], operation: Operation, tally: Tally): Promise<void> {
  const client = async (connection: Connection): Promise<void> => {
    while (performance.now() < tally.end) await tally.count(() => operation(connection));
  };
  await Promise.all(connections.map(client));
}
