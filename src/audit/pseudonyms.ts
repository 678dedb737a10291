import { createHmac } from 'node:crypto';
import { UUID } from '../http/validators.js';
import type { SecretKeys } from '../config/secret-keys.js';
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
  const digest = createHmac('sha256', key).update(subject).digest();
  return `~${digest.subarray(0, STAND_IN_BYTES).toString('base64url')}`;
}

const FIND_PSEUDONYM = nameStatement<{ readonly uid: string }>(
  'audit-pseudonym',
  'SELECT audit_uid::text AS uid FROM user_handle WHERE rp_id = $1 AND user_id = $2',
);

/**
 * Finds the user's pseudonym in the audit log: `user_handle.audit_uid`, which is random and is deleted with the user.
 *
 * @returns null for a stranger
 */
export async function findPseudonym(through: Queryable, { rpId, userId }: Subject): Promise<string | null> {
  if (rpId === undefined) return null;
  const [user] = await FIND_PSEUDONYM.run(through, [rpId, userId]);
  return user?.uid ?? null;
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
): Promise<Pseudonym[]> {
  const parties = await through.query<{ rp_id: string; uid: string | null }[]>(
    `SELECT p.rp_id, h.audit_uid::text AS uid
       FROM relying_party p LEFT JOIN user_handle h ON h.rp_id = p.rp_id AND h.user_id = $1
      WHERE $2::text[] IS NULL OR p.rp_id = ANY ($2)`,
    [userId, relyingParties],
  );
  const months = listMonths(period);
  return parties.flatMap(({ rp_id: rpId, uid }) => [
    ...(uid === null ? [] : [{ uid, ...ALWAYS }]),
    ...months.flatMap(([month, next]) =>
      keys.auditSubjects.map((key) => ({
        uid: deriveStandInBy(key, { rpId, userId }, month),
        since: toFirstId(month.getTime()),
        until: toFirstId(next.getTime()),
      })),
    ),
  ]);
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

/** Finds the user ids of pseudonyms. Erased users are missing from the result. */
export async function findUserIds(through: Queryable, uids: readonly (string | null)[]): Promise<Map<string, string>> {
  const known = [...new Set(uids)].filter((uid) => uid !== null && UUID.test(uid));
  if (known.length === 0) return new Map();
  const rows = await through.query<{ uid: string; user_id: string }[]>(
    'SELECT audit_uid::text AS uid, user_id FROM user_handle WHERE audit_uid = ANY ($1::uuid[])',
    [known],
  );
  return new Map(rows.map((row) => [row.uid, row.user_id]));
}
