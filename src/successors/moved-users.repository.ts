import { nameStatement, type Queryable } from '../database/named-statement.js';
import type { LastUse } from './user-count.js';

/** Users of a page who have an active passkey. */
export interface UserPage {
  /** The last user id of the page; null: there were none. */
  readonly last: string | null;
  readonly users: readonly {
    readonly lastUse: LastUse;
    /** True if the user has an active passkey at the other relying party, too. */
    readonly hasOther: boolean;
  }[];
}

interface UserRow {
  readonly user_id: string;
  /** null: the user has no active passkey. */
  readonly last_use: LastUse | null;
}

export const PAGE_USERS = 2_000;

/**
 * $1 RP ID, $2 after this user id or null, $3 now. It reads the users by the primary key of their table, because several
 * indexes of `credential` begin with the relying party.
 */
const READ_PAGE = nameStatement<UserRow>(
  'succession-users',
  `SELECT user_id, CASE WHEN held = 0 THEN NULL WHEN used IS NULL THEN 'never'
                        WHEN used > $3::timestamptz - interval '7 days' THEN 'within7Days'
                        WHEN used > $3::timestamptz - interval '30 days' THEN 'within30Days'
                        WHEN used > $3::timestamptz - interval '90 days' THEN 'within90Days' ELSE 'earlier' END AS last_use
     FROM (SELECT user_id FROM user_handle WHERE rp_id = $1 AND ($2::text IS NULL OR user_id > $2::text)
            ORDER BY user_id LIMIT ${String(PAGE_USERS)}) AS page,
       LATERAL (SELECT count(*) AS held, max(last_used_at) AS used FROM credential c
                 WHERE c.rp_id = $1 AND c.user_id = page.user_id AND status = 'active') AS passkeys
    ORDER BY user_id`,
);

/** $1 RP ID, $2 user ids. */
const FIND_HOLDERS = nameStatement<{ readonly user_id: string }>(
  'succession-holders',
  `SELECT user_id FROM unnest($2::text[]) AS given (user_id)
    WHERE EXISTS (SELECT FROM credential c WHERE c.rp_id = $1 AND c.user_id = given.user_id AND status = 'active')`,
);

/** Reads the next users of a relying party, and which of them have a passkey at another one. Seals are not verified. */
export async function readUserPage(
  through: Queryable,
  { rpId, other, after, now }: { rpId: string; other: string; after: string | null; now: Date },
): Promise<UserPage> {
  const rows = await READ_PAGE.run(through, [rpId, after, now]);
  const holders = rows.filter((row): row is UserRow & { last_use: LastUse } => row.last_use !== null);
  const ids = holders.map(({ user_id: userId }) => userId);
  const found = ids.length > 0 ? await FIND_HOLDERS.run(through, [other, ids]) : [];
  const others = new Set(found.map(({ user_id: userId }) => userId));
  return {
    last: rows.at(-1)?.user_id ?? null,
    users: holders.map((row) => ({ lastUse: row.last_use, hasOther: others.has(row.user_id) })),
  };
}
