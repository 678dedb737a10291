import { leafHashSql } from '../audit/audit-event.repository.js';
import { COLUMNS_HOLD_SQL } from '../audit/event-columns.js';
import { nameStatement } from '../database/named-statement.js';

/** Number of events that a step of the check compares with their leaves. */
const PORTION = 1_000;

/** A step of the check. */
export interface CheckedPortion {
  /** Id of the oldest event in this step; null if there was none. */
  readonly last: string | null;
  /** Ids of events whose leaf has another hash or is not covered by the latest checkpoint, or whose columns do not hold. */
  readonly altered: string[];
  /** Ids of events that are neither sequenced nor pending. */
  readonly placeless: string[];
}

/** $1: the step takes events with lower ids, newest first. */
export const CHECK_PORTION = nameStatement<CheckedPortion>(
  'audit-check-portion',
  `WITH portion AS MATERIALIZED (
     SELECT *, ${leafHashSql('event')} AS hash FROM audit_event WHERE id < $1::uuid ORDER BY id DESC LIMIT ${String(PORTION)}),
   held AS MATERIALIZED (
     SELECT id, leaf_index IS NULL AS placeless, portion.leaf_hash = hash
              AND coalesce(leaf.leaf_hash = hash AND leaf_index >= 0
                AND leaf_index < (SELECT size FROM audit_checkpoint ORDER BY size DESC LIMIT 1), TRUE)
              AND ${COLUMNS_HOLD_SQL} AS holds
       FROM portion
       LEFT JOIN LATERAL (SELECT leaf_index, leaf_hash FROM audit_leaf WHERE event_id = id OFFSET 0) AS leaf ON TRUE)
   SELECT (SELECT id FROM portion ORDER BY id LIMIT 1) AS last,
          ARRAY(SELECT id FROM held WHERE holds IS NOT TRUE) AS altered,
          ARRAY(SELECT id FROM held WHERE placeless EXCEPT SELECT event_id FROM audit_pending) AS placeless`,
);
