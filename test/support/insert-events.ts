import {
  AUDIT_COLUMNS,
  type AuditRow,
  extractEvent,
  insertEachEventPartsSql,
  toAuditRecord,
} from '../../src/audit/audit-event.repository.js';
import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { AuditService } from '../../src/audit/audit.service.js';
import type { Queryable } from '../../src/database/named-statement.js';
import { createRowsStatement, rowsWithLineSql } from '../../src/database/rows-statement.js';

const INSERT = createRowsStatement<AuditRow, object>({
  name: 'test-insert-events',
  text: `WITH given AS MATERIALIZED (SELECT * FROM ${rowsWithLineSql(AUDIT_COLUMNS, 'audit_event')} AS given),
     ${insertEachEventPartsSql('given')}
   SELECT ordinality::integer AS n FROM given`,
  record: toAuditRecord,
  line: extractEvent,
});
/** Events of one statement. */
const PORTION = 5_000;

/** Writes events of one type and time, as the service does but many in one statement. @returns their ids */
export async function insertEvents(
  through: Queryable,
  audit: Pick<AuditService, 'createRow'>,
  type: AuditEntry['type'],
  time: Date,
  count: number,
): Promise<string[]> {
  const rows = Array.from({ length: count }, () => audit.createRow(null, { type, outcome: 'success' }, null, time));
  for (let from = 0; from < count; from += PORTION) await INSERT.run(through, rows.slice(from, from + PORTION));
  return rows.map(({ id }) => id);
}
