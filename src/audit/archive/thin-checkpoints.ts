import type { Queryable } from '../../database/named-statement.js';

interface Step {
  readonly last: number | null;
  readonly thinned: number;
}

/** Rows at a time, each time in a transaction of its own: the sequencer waits for none for long. */
const WINDOW = 5_000;

/**
 * Of the checkpoints of archived months the last of each hour stays, and with it the last of each day. Nothing is proved
 * by the others that these do not prove: consistency is made from leaves, for every size.
 *
 * @param window how many are looked at in one statement, two or more
 * @returns how many rows went
 */
export async function thinCheckpoints(through: Queryable, window = WINDOW): Promise<number> {
  const ranges = await through.query<{ from_leaf: number; to_leaf: number }[]>(
    'SELECT from_leaf, to_leaf FROM audit_archive ORDER BY from_leaf',
  );
  let thinned = 0;
  for (const range of ranges) {
    for (let from: number | null = range.from_leaf; from !== null;) {
      const [step]: Step[] = await through.query<Step[]>(THIN, [from, range.to_leaf, window]);
      [from, thinned] = [step!.last, thinned + step!.thinned];
    }
  }
  return thinned;
}

/**
 * $1 and $2 the sizes, inclusive, $3 rows. A checkpoint goes when the next one is of the same hour; the last of the
 * rows, whose next one is not among them, is the first of the next step. `last` is null when there is no next step.
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
