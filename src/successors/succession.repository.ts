import { nameStatement, type Queryable } from '../database/named-statement.js';
import { type MovedUsers, readMovedUsers } from './user-count.js';

/** The last count of a relying party's users. */
export interface CountedUsers {
  readonly countedAt: Date;
  readonly users: MovedUsers;
}

interface CountRow {
  readonly rp_id: string;
  readonly successor: string | null;
  readonly counted_at: Date | number | null;
  readonly users: unknown;
}

/** A count is repeated this long after it ended. */
const COUNT_SECONDS = 3_600;
/** A process that has not gone on for this long is gone. */
const GONE_SECONDS = 60;

/** SQL: a time that lies in the past for longer than this, or in the future, where no clock that is right has put it. */
const isPastSql = (time: string, seconds: number): string =>
  `NOT coalesce(${time} BETWEEN $4::timestamptz - interval '${String(seconds)} s' AND $4::timestamptz + interval '${String(seconds)} s', FALSE)`;

/** $1 RP ID, $2 successor, $3 id of this count, $4 now. No result: another process counts, or the last count is young. */
const CLAIM = nameStatement<{ readonly rp_id: string }>(
  'succession-claim',
  `INSERT INTO succession AS s (rp_id, successor, counter, alive_at) VALUES ($1, $2, $3, $4)
   ON CONFLICT (rp_id) DO UPDATE
     SET successor = $2, counter = $3, alive_at = $4,
         counted_at = CASE WHEN s.successor = $2 THEN s.counted_at END, users = CASE WHEN s.successor = $2 THEN s.users END
     WHERE s.successor IS DISTINCT FROM $2
        OR (s.counter IS NULL OR ${isPastSql('s.alive_at', GONE_SECONDS)})
           AND ${isPastSql('s.counted_at', COUNT_SECONDS)}
   RETURNING rp_id`,
);
/** $1 RP ID, $2 id of this count, $3 now. No result: another count has begun. */
const GO_ON = nameStatement<{ readonly rp_id: string }>(
  'succession-go-on',
  `WITH kept AS (UPDATE succession SET alive_at = $3 WHERE rp_id = $1 AND counter = $2 RETURNING rp_id)
   SELECT rp_id FROM kept`,
);
/** $1 RP ID, $2 id of this count, $3 now, $4 the users. */
const STORE = nameStatement(
  'succession-store',
  'UPDATE succession SET counter = NULL, counted_at = $3, users = $4 WHERE rp_id = $1 AND counter = $2',
);
const READ = nameStatement<CountRow>(
  'succession-read',
  'SELECT rp_id, successor, counted_at, users FROM succession WHERE rp_id = ANY ($1::text[])',
);
/** $1 RP ID, $2 the end. No result: it is recorded already. */
const RECORD_END = nameStatement<{ readonly rp_id: string }>(
  'succession-record-end',
  `INSERT INTO succession AS s (rp_id, recorded_end) VALUES ($1, $2)
   ON CONFLICT (rp_id) DO UPDATE SET recorded_end = $2 WHERE s.recorded_end IS DISTINCT FROM $2
   RETURNING rp_id`,
);
const FORGET = nameStatement('succession-forget', 'DELETE FROM succession WHERE rp_id <> ALL ($1::text[])');

/** @returns false if there is nothing to count now, or another process counts */
export async function claimCount(
  through: Queryable,
  count: { rpId: string; successor: string; id: string; now: Date },
): Promise<boolean> {
  return (await CLAIM.run(through, [count.rpId, count.successor, count.id, count.now])).length > 0;
}

/** @returns false if another process has begun to count */
export async function continueCount(through: Queryable, rpId: string, id: string, now: Date): Promise<boolean> {
  return (await GO_ON.run(through, [rpId, id, now])).length > 0;
}

export async function storeCount(
  through: Queryable,
  rpId: string,
  id: string,
  { countedAt, users }: CountedUsers,
): Promise<void> {
  await STORE.run(through, [rpId, id, countedAt, JSON.stringify(users)]);
}

/** Reads the last counts by their RP IDs. One for another successor than the present one is none. */
export async function readCounts(
  through: Queryable,
  parties: readonly { readonly rpId: string; readonly successor: string }[],
): Promise<Map<string, CountedUsers>> {
  if (parties.length === 0) return new Map();
  const rows = await READ.run(through, [parties.map(({ rpId }) => rpId)]);
  const named = new Map(parties.map(({ rpId, successor }) => [rpId, successor]));
  return new Map(
    rows.flatMap(({ rp_id: rpId, successor, counted_at: countedAt, users: stored }) => {
      const users = readMovedUsers(stored);
      const isPresent = successor === named.get(rpId) && countedAt instanceof Date;
      return isPresent && users ? [[rpId, { countedAt, users }] as const] : [];
    }),
  );
}

/** @returns false if an event tells of this end already */
export async function takeEnd(through: Queryable, rpId: string, end: Date): Promise<boolean> {
  return (await RECORD_END.run(through, [rpId, end])).length > 0;
}

/** Deletes the rows of all other relying parties, which have no successor any more. */
export async function forgetOthers(through: Queryable, rpIds: readonly string[]): Promise<void> {
  await FORGET.run(through, [rpIds]);
}
