import type { Queryable } from '../../src/database/named-statement.js';

interface ThinningStep {
  readonly last: number | null;
  readonly thinned: number;
}

/** Rows per transaction, so that the sequencer never waits long for one. */
const WINDOW = 5_000;

/**
 * Deletes the checkpoints of archived months, except the last one of each hour, which includes the last one of each
 * day. The others prove nothing more, because a consistency proof is made from leaves, for every size.
 *
 * @param window rows per statement, two or more
 * @returns the number of deleted rows
 */
export async function thinCheckpoints(through: Queryable, window = WINDOW): Promise<number> {
  const ranges = await through.query<{ from_leaf: number; to_leaf: number }[]>(
    'SELECT from_leaf, to_leaf FROM audit_archive ORDER BY from_leaf',
  );
  let thinned = 0;
  for (const range of ranges) {
    for (let from: number | null = range.from_leaf; from !== null;) {
      const [step]: ThinningStep[] = await through.query<ThinningStep[]>(THIN, [from, range.to_leaf, window]);
      [from, thinned] = [step!.last, thinned + step!.thinned];
    }
  }
  return thinned;
}

/**
 * $1 and $2: sizes, inclusive; $3: number of rows. A checkpoint is deleted if the next one is of the same hour. The
 * last of the rows, whose next one is not among them, is the first row of the next step. `last` is null if there is no
 * next step.
 */
const THIN = `
  WITH step AS MATERIALIZED (
    SELECT size, date_trunc('hour', created_at, 'UTC') AS hour FROM audit_checkpoint
     WHERE size BETWEEN $1 AND $2 ORDER BY size LIMIT $3::integer
  ), followed AS (
    SELECT size, hour, lead(hour) OVER (ORDER BY size) AS next_hour FROM step
  ), thinned AS (
    DELETE FROM audit_checkpoint WHERE size IN (SELECT size FROM followed WHERE hour = next_hour) RETURNING size
  )
  SELECT (SELECT max(size) FROM step HAVING count(*) = $3::integer) AS last, (SELECT count(*) FROM thinned) AS thinned`;
