import type { Queryable } from '../database/named-statement.js';
import { insertEventSql, createAuditRow } from '../audit/audit-row.js';

/** Records the migrations that ran, even before any service has run. */
export async function recordMigrations(through: Queryable, names: readonly string[], time: Date): Promise<void> {
  for (const migration of names) {
    const { values } = createAuditRow({ type: 'schema.migrate', outcome: 'success', facts: { migration } }, null, time);
    await through.query(insertEventSql(1), [...values]);
  }
}
