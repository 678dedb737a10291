import {
  AUDIT_COLUMNS,
  type AuditRow,
  extractEvent,
  insertEachEventPartsSql,
  toAuditRecord,
} from '../audit/audit-event.repository.js';
import { createRowsStatement, type RowsStatement, rowsWithLineSql } from '../database/rows-statement.js';
import { type SignalledChange, type SignalPart, WITH_SIGNALS, WITHOUT_SIGNALS } from '../signals/outbox.repository.js';

/*
 * The simplest outcome of an answer to a challenge: it is refused. answer.repository.ts has the others, and runs them all.
 */

/** SQL: spends the challenges of a source. Returns the ids of those that nobody has spent. */
export function spendSql(source: string): string {
  return `INSERT INTO spent_challenge (id) SELECT challenge_id FROM ${source} ORDER BY challenge_id ON CONFLICT DO NOTHING RETURNING id`;
}

export interface RefuseInput {
  readonly challengeId: string;
  readonly event: AuditRow;
  /** What receivers of Shared Signals hear of it; undefined: nothing. */
  readonly signal?: SignalledChange | undefined;
}

const REFUSED = '(SELECT refused.* FROM refused JOIN spent ON spent.id = challenge_id) AS event';

const createRefuse = (name: string, signals: SignalPart): RowsStatement<RefuseInput, { readonly refused: true }> =>
  createRowsStatement<RefuseInput, { readonly refused: true }>({
    name,
    text: `WITH refused AS MATERIALIZED (
       SELECT * FROM ${rowsWithLineSql(`challenge_id uuid, ${AUDIT_COLUMNS}${signals.columns}`, 'audit_event')} AS given),
     spent AS (${spendSql('refused')}),
     ${insertEachEventPartsSql(REFUSED)}${signals.sql(REFUSED)}
   SELECT ordinality::integer AS n, TRUE AS refused FROM refused JOIN spent ON spent.id = challenge_id`,
    record: ({ challengeId, event, signal }) => ({
      challenge_id: challengeId,
      ...toAuditRecord(event),
      ...signals.record(signal),
    }),
    line: ({ event }) => extractEvent(event),
  });

/** Spends challenges whose answers are refused, and records why. No result: another answer has spent the challenge. */
export const REFUSE = createRefuse('answer-refuse', WITHOUT_SIGNALS);
/** The same for answers that suggest a clone: receivers hear of it. */
export const REFUSE_SUSPECT = createRefuse('answer-refuse-suspect', WITH_SIGNALS);
