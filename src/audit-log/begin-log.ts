import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { Queryable } from '../database/named-statement.js';
import { makeMonths } from './log-partitions.js';
import { createAuditRow, INSERT_EVENT_OF_OWNER } from '../audit/audit-event.repository.js';

const ATTEMPTS = 10;
const PAUSE_MS = 300;

/**
 * Prepares the log for the first event of a process, even before any service has run. It makes the partition of the
 * current month, however long ago the last start was, and then records the migrations that ran. If the partition cannot
 * be made now, events go to the default partition until it can.
 */
export async function beginLog(through: Queryable, migrations: readonly string[], time: Date): Promise<void> {
  let { refused, busy } = await makeMonths(through, time);
  for (let attempt = 1; busy && attempt < ATTEMPTS; attempt += 1) {
    await sleep(PAUSE_MS);
    ({ refused, busy } = await makeMonths(through, time));
  }
  if (Object.keys(refused).length > 0) {
    new Logger('LogPartitions').warn({ message: 'months of the audit log have no partition yet', refused });
  }
  await recordMigrations(through, migrations, time);
}

/** Records the migrations that ran, as the owner of the tables, even before any service has run. */
export async function recordMigrations(through: Queryable, names: readonly string[], time: Date): Promise<void> {
  for (const migration of names) {
    const { values } = createAuditRow({ type: 'schema.migrate', outcome: 'success', facts: { migration } }, null, time);
    await INSERT_EVENT_OF_OWNER.run(through, values);
  }
}
