import type { Queryable } from '../database/named-statement.js';
import { auditInsert, auditRow } from './audit-row.js';

/** Records the migrations that were run, also where no service runs yet. */
export async function recordMigrations(through: Queryable, names: readonly string[], time: Date): Promise<void> {
  for (const migration of names) {
    const { values } = auditRow({ type: 'schema.migrate', outcome: 'success', facts: { migration } }, null, time);
    await through.query(auditInsert(1), [...values]);
  }
}
