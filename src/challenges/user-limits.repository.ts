import {
  AUDIT_ROW_WIDTH,
  auditParameterSql,
  type AuditRow,
  insertEventSql,
  toFirstId,
} from '../audit/audit-event.repository.js';
import { nameStatement, type Queryable } from '../database/named-statement.js';

/**
 * Limits on what may be done in the name of one user. The rules:
 *
 * 1. A challenge is issued to a user if fewer than `challengesPerMinute` were issued within the last minute for the
 *    same ceremony. Each process counts for itself (challenge-pace.ts), because issuing writes nothing. Strangers can
 *    begin authentications, so these do not count against a registration.
 * 2. An authentication that names a user begins unless the user's last `refusalsPerHalfHour` answers were refused, all
 *    within an hour, and the last of them less than half an hour ago. So a user with that many refusals within half an
 *    hour is blocked for half an hour after the last attempt (PCI DSS 4.0.1 8.3.4), or until the user signs in: a
 *    success ends the sequence (NIST SP 800-63B counts consecutive failures). A confirmation does not begin then, either,
 *    but its own refusals do not count: who confirms is signed in already. This limit counts in the audit log, which
 *    is written anyway and is the same for every replica.
 *
 * Anyone who knows a user id can exhaust both limits of an authentication, and must not lock the user out that way. So
 * an authentication that names no user is never limited, nor is the answer to a challenge. Neither challenges for
 * authentications nor refusals stop an identified user from registering a passkey.
 *
 * The count of refusals reads one range of its own index (audit_event_refused), begins at an id and is bounded by its
 * limit. Concurrent statements do not see each other: the limit can be exceeded by the answers to open challenges.
 */

const MINUTE_MS = 60_000;
export const REFUSALS_REST_MS = 30 * MINUTE_MS;
const REFUSALS_COUNT_MS = 2 * REFUSALS_REST_MS;

/**
 * The smallest id of a last refusal that still blocks the user, and the smallest id of the refusals that count with it.
 */
export function getFirstRefusalIds(now: Date): [rest: string, count: string] {
  return [toFirstId(now.getTime() - REFUSALS_REST_MS + 1), toFirstId(now.getTime() - REFUSALS_COUNT_MS + 1)];
}

/**
 * An id above those of all events, whatever the clocks of the replicas show. With this bound a statement reads the
 * partitions of one or two months and not all future ones.
 */
export function getCountedIdEnd(now: Date): string {
  return toFirstId(now.getTime() + REFUSALS_COUNT_MS);
}

const idTimeSql = (id: string): string => `('x' || translate(left((${id})::text, 13), '-', ''))::bit(48)::bigint`;

interface Limited {
  /** SQL: the relying party, and the user's pseudonym in the audit log. */
  readonly rpId: string;
  readonly uid: string;
  /** SQL: the limit. */
  readonly limit: string;
}

/** SQL: getFirstRefusalIds and getCountedIdEnd. */
interface Window {
  readonly rest: string;
  readonly since: string;
  readonly until: string;
}

/**
 * SQL: true if an event is about this ceremony. Canonical JSON contains this text only as a member, because quotation
 * marks inside a text are escaped. Events that do not match are in the same window, which bounds their number.
 *
 * @param ceremony SQL
 */
function isOfCeremonySql(ceremony: string): string {
  return `strpos(event, '"ceremony":"' || ${ceremony} || '"') > 0`;
}

/**
 * SQL: the last of the refusals that block the user; null: the user is not blocked.
 *
 * @param userId SQL
 */
export function blockingRefusalSql(
  { rpId, uid, limit }: Limited,
  userId: string,
  { rest, since, until }: Window,
): string {
  return `(SELECT ids[1] FROM (
             SELECT array_agg(id ORDER BY id DESC) AS ids FROM (
               SELECT id FROM audit_event
                WHERE rp_id = ${rpId} AND user_id = ${uid} AND type = 'credential.verify' AND outcome = 'failure'
                  AND id >= ${since} AND id < ${until}
                ORDER BY id DESC LIMIT ${limit}) AS newest) AS refused
            WHERE array_length(ids, 1) = ${limit} AND ids[1] >= ${rest}
              AND NOT EXISTS (SELECT FROM credential WHERE rp_id = ${rpId} AND user_id = ${userId}
                                AND extract(epoch FROM last_used_at) * 1000 > ${idTimeSql(`ids[${limit}]`)}))`;
}

/**
 * Records that a user is over a limit, unless an event within the last minute says so for the same ceremony. So a flood
 * of requests does not fill the log.
 *
 * $1… audit row, the smallest id of the last minute, and the ceremony. A row in the result: the event was written.
 */
export const RECORD_LIMIT = nameStatement<{ readonly id: string }>(
  'challenge-limit-record',
  insertEventSql(
    1,
    `(SELECT WHERE NOT EXISTS (
       SELECT FROM audit_event
        WHERE rp_id = ${auditParameterSql(1, 'rp_id')} AND user_id = ${auditParameterSql(1, 'user_id')} AND type = 'challenge.limit'
          AND outcome = 'failure' AND id >= $${String(1 + AUDIT_ROW_WIDTH)}::uuid
          AND ${isOfCeremonySql(`$${String(2 + AUDIT_ROW_WIDTH)}::text`)})) AS first`,
  ),
);

/** @returns true if the event was written */
export async function recordLimit(through: Queryable, event: AuditRow, ceremony: unknown, now: Date): Promise<boolean> {
  const written = await RECORD_LIMIT.run(through, [
    ...event.values,
    toFirstId(now.getTime() - MINUTE_MS + 1),
    ceremony,
  ]);
  return written.length > 0;
}
