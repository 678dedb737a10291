/**
 * The bytes that a load leaves in a contender's database and that it writes to the WAL. Neither depends on a clock or on other
 * work of the machine.
 *
 * A measurement begins before the first operation and ends when the service has done the work that follows the last one, such as
 * putting events in order, and VACUUM has freed the rows that the operations left dead. So it counts all operations of a run, not
 * only those of the window. PostgreSQL extends its files at once, so their sizes need no checkpoint. A checkpoint would write
 * whole pages to the WAL again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Observed } from '../load/tally.js';

/** Milliseconds in which the service does the work that follows an operation: the sequencer works at least once a second. */
const SETTLE = 1_200;

/** Bytes. */
interface Position {
  readonly disk: number;
  readonly wal: number;
}

/** The bytes of a run and its operations. */
export interface Storage extends Position {
  readonly operations: number;
}

/** Measures what a run stores in this database. The other databases of the cluster must be idle. */
export async function measureStorage<Result extends Observed>(
  databaseUrl: string,
  run: () => Promise<Result>,
): Promise<Result & { storage: Storage }> {
  const session = new pg.Client({ connectionString: databaseUrl });
  await session.connect();
  try {
    const before = await readPosition(session);
    const result = await run();
    await vacuum(session);
    const after = await readPosition(session);
    const storage = { disk: after.disk - before.disk, wal: after.wal - before.wal, operations: result.operations };
    return { ...result, storage };
  } finally {
    await session.end();
  }
}

/** Ends the work that follows a load without measurement, so that the first measurement does not count it. */
export async function settle(databaseUrl: string): Promise<void> {
  const session = new pg.Client({ connectionString: databaseUrl });
  await session.connect();
  try {
    await vacuum(session);
  } finally {
    await session.end();
  }
}

async function vacuum(session: pg.Client): Promise<void> {
  await sleep(SETTLE);
  await session.query('VACUUM (TRUNCATE FALSE)');
}

async function readPosition(session: pg.Client): Promise<Position> {
  const { rows } = await session.query<{ disk: string; wal: string }>(
    `SELECT pg_database_size(current_database()) AS disk, pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal`,
  );
  return { disk: Number(rows[0]!.disk), wal: Number(rows[0]!.wal) };
}
