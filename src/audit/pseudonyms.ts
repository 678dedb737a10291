import { computeHmac } from '../config/hmac.js';
import { UUID } from '../http/validators.js';
import type { SecretKeys } from '../config/secret-keys.js';
import type { Seals } from '../seals/seals.js';
import { isUserGenuine, type SealedUser } from './sealed-user.js';
import type { UserSeals } from './user-seals.js';
import { nameStatement, type Queryable } from '../database/named-statement.js';
import { toFirstId } from './audit-event.repository.js';

const STAND_IN_BYTES = 16;

/** A user id, at a relying party or without one. */
interface Subject {
  readonly rpId?: string | undefined;
  readonly userId: string;
}

/**
 * Derives the stand-in for a user id that does not belong to a user of the relying party. It is the same for an id at
 * one relying party within a month. Without the service's key it reveals neither the id nor that two stand-ins belong
 * to one id.
 */
export function deriveStandIn(
  { rpId, userId }: Subject,
  time: Date,
  { auditSubjects: [key] }: Pick<SecretKeys, 'auditSubjects'>,
): string {
  return deriveStandInBy(key, { rpId, userId }, time);
}

function deriveStandInBy(key: Buffer, { rpId = '', userId }: Subject, time: Date): string {
  const subject = JSON.stringify([rpId, time.toISOString().slice(0, 'yyyy-mm'.length), userId]);
  return `~${computeHmac(key, subject).toString('base64url', 0, STAND_IN_BYTES)}`;
}

const USER_COLUMNS = 'h.rp_id AS "rpId", h.user_id AS "userId", handle, audit_uid AS "auditUid", h.seal';

const FIND_USER = nameStatement<SealedUser>(
  'audit-user',
  `SELECT ${USER_COLUMNS} FROM user_handle h WHERE rp_id = $1 AND user_id = $2`,
);

/**
 * Finds the user's pseudonym in the audit log: `user_handle.audit_uid`, which is random and is deleted with the user.
 *
 * @returns null for a stranger, and for a user whose row was changed by something other than this service
 */
export async function findPseudonym(
  through: Queryable,
  { rpId, userId }: Subject,
  seals: Seals,
): Promise<string | null> {
  if (rpId === undefined) return null;
  const [user] = await FIND_USER.run(through, [rpId, userId]);
  return user && isUserGenuine(seals, user) ? user.auditUid : null;
}

/** The pseudonym of a user or the stand-in of a stranger, in events with ids in [since, until). */
export interface Pseudonym {
  readonly uid: string;
  readonly since: string;
  readonly until: string;
}

const ALWAYS = { since: '00000000-0000-0000-0000-000000000000', until: 'ffffffff-ffff-ffff-ffff-ffffffffffff' };

/**
 * Lists everything that may stand for a user id in the log at each relying party: the pseudonym of a user and the
 * stand-ins of a stranger, under each key.
 *
 * @param relyingParties null for all
 * @param period time of the events, in milliseconds; both ends are included
 */
export async function listPseudonyms(
  through: Queryable,
  { userId, relyingParties }: { userId: string; relyingParties: readonly string[] | null },
  period: { readonly from: number; readonly to: number },
  keys: Pick<SecretKeys, 'auditSubjects'>,
  users: Pick<UserSeals, 'keepGenuine'>,
): Promise<Pseudonym[]> {
  const parties = await through.query<{ rpId: string; handle: Buffer | null; auditUid: string; seal: Buffer | null }[]>(
    `SELECT p.rp_id AS "rpId", handle, audit_uid AS "auditUid", h.seal
       FROM relying_party p LEFT JOIN user_handle h ON h.rp_id = p.rp_id AND h.user_id = $1
      WHERE $2::text[] IS NULL OR p.rp_id = ANY ($2)`,
    [userId, relyingParties],
  );
  const months = listMonths(period);
  const names: Pseudonym[] = [];
  for (const { rpId, handle, ...row } of parties) {
    const user = handle && (await users.keepGenuine(null, { ...row, rpId, userId, handle }));
    if (user) names.push({ uid: user.auditUid, ...ALWAYS });
    for (const [month, next] of months) {
      const period = { since: toFirstId(month.getTime()), until: toFirstId(next.getTime()) };
      for (const key of keys.auditSubjects)
        names.push({ uid: deriveStandInBy(key, { rpId, userId }, month), ...period });
    }
  }
  return names;
}

/** Lists the months of a period, each with the month after it, in UTC. */
function listMonths({ from, to }: { readonly from: number; readonly to: number }): [Date, Date][] {
  const months: [Date, Date][] = [];
  const begin = new Date(from);
  for (let ahead = 0; ; ahead += 1) {
    const [month, next] = [0, 1].map((more) =>
      Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth() + ahead + more),
    ) as [number, number];
    if (month > to) return months;
    months.push([new Date(month), new Date(next)]);
  }
}

/**
 * Finds the user ids of pseudonyms. Erased users are missing from the result, and so are users whose row was changed by
 * something other than this service.
 */
export async function findUserIds(
  through: Queryable,
  uids: readonly (string | null)[],
  users: Pick<UserSeals, 'keepGenuine'>,
): Promise<Map<string, string>> {
  const known = [...new Set(uids)].filter((uid) => uid !== null && UUID.test(uid));
  if (known.length === 0) return new Map();
  const rows = await through.query<SealedUser[]>(
    `SELECT ${USER_COLUMNS} FROM user_handle h WHERE audit_uid = ANY ($1::uuid[])`,
    [known],
  );
  const genuine = await Promise.all(rows.map((row) => users.keepGenuine(null, row)));
  return new Map(genuine.flatMap((user) => (user ? [[user.auditUid, user.userId] as const] : [])));
}
