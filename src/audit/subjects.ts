import { createHmac } from 'node:crypto';
import { UUID } from '../contract/id.param.js';
import type { SecretKeys } from '../config/secret-keys.js';
import type { Queryable } from '../database/named-statement.js';

const STAND_IN_BYTES = 16;

/**
 * What stands in the log for a user id that is no user of the relying party: the same for the same id, and nobody tells
 * the id from it who has not the service's key.
 */
export function standInFor(userId: string, { auditSubject }: Pick<SecretKeys, 'auditSubject'>): string {
  const digest = createHmac('sha256', auditSubject).update(userId).digest();
  return `~${digest.subarray(0, STAND_IN_BYTES).toString('base64url')}`;
}

/** All that the log may know a user id by: as a user of any relying party, and as none. */
export async function uidsOf(
  through: Queryable,
  userId: string,
  keys: Pick<SecretKeys, 'auditSubject'>,
): Promise<string[]> {
  const rows = await through.query<{ uid: string }[]>(
    'SELECT audit_uid::text AS uid FROM user_handle WHERE user_id = $1',
    [userId],
  );
  return [standInFor(userId, keys), ...rows.map(({ uid }) => uid)];
}

/** The user ids behind what the log knows users by; those who were erased are in no answer. */
export async function userIdsOf(through: Queryable, uids: readonly (string | null)[]): Promise<Map<string, string>> {
  const known = [...new Set(uids)].filter((uid) => uid !== null && UUID.test(uid));
  if (known.length === 0) return new Map();
  const rows = await through.query<{ uid: string; user_id: string }[]>(
    'SELECT audit_uid::text AS uid, user_id FROM user_handle WHERE audit_uid = ANY ($1::uuid[])',
    [known],
  );
  return new Map(rows.map((row) => [row.uid, row.user_id]));
}
