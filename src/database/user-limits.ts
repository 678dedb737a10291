import { AUDIT_ROW_WIDTH, auditStatement, auditParameter, auditUid } from '../audit/audit-row.js';
import { firstIdAt } from '../audit/event-id.js';
import type { Ceremony } from '../challenges/challenge.entity.js';
import { named } from './named-statement.js';

/**
 * How much may be done in the name of one user, counted in the audit log: it is written anyway, and every replica
 * reads the same one. What is counted by:
 *
 * 1. A challenge is issued to a user if fewer than `challengesPerMinute` were within the last minute for the same
 *    ceremony. Strangers begin authentications, so these do not count against a registration.
 * 2. An authentication that names a user begins unless the user's last `refusalsPerHalfHour` answers were refused, all
 *    within an hour, and the last of them less than half an hour ago. So whoever is refused as often within half an hour
 *    rests for half an hour after the last attempt (PCI DSS 4.0.1 8.3.4), or until the user signs in: a success ends the
 *    row (NIST SP 800-63B counts consecutive failures).
 *
 * Anyone who knows a user id can exhaust the limits of an authentication, and must not lock the user out by that. So an
 * authentication that names nobody is never limited, nor is the answer to a challenge, and neither challenges for
 * authentications nor refusals keep an identified user from registering a passkey.
 *
 * Each count is one range of an index of its own (audit_event_issued, audit_event_refused), is bounded by its limit and
 * begins at an id. Statements that run at once do not see each other: a limit is exceeded by what is in flight, and
 * refusals by the answers to challenges that were open.
 */

const MINUTE_MS = 60_000;
export const CHALLENGES_COUNT_MS = MINUTE_MS;
export const REFUSALS_REST_MS = 30 * MINUTE_MS;
const REFUSALS_COUNT_MS = 2 * REFUSALS_REST_MS;

/** The smallest id of the challenges that count now. */
export function challengesSince(now: Date): string {
  return firstIdAt(now.getTime() - CHALLENGES_COUNT_MS + 1);
}

/** The smallest id of a last refusal that makes a user rest now, and of those that count with it. */
export function refusalsSince(now: Date): [rest: string, count: string] {
  return [firstIdAt(now.getTime() - REFUSALS_REST_MS + 1), firstIdAt(now.getTime() - REFUSALS_COUNT_MS + 1)];
}

/**
 * The first id that is of no event yet, whatever the replicas' clocks: with it, one month's partition is read and not all
 * that are to come.
 */
export function countedUntil(now: Date): string {
  return firstIdAt(now.getTime() + REFUSALS_COUNT_MS);
}

const timeOf = (id: string): string => `('x' || translate(left((${id})::text, 13), '-', ''))::bit(48)::bigint`;

interface Limited {
  /** SQL: the relying party, and by what the log knows the user. */
  readonly rpId: string;
  readonly uid: string;
  /** SQL: how many are allowed. */
  readonly limit: string;
}

/** SQL: challengesSince or refusalsSince, and countedUntil. */
interface Window {
  readonly since: string;
  readonly until: string;
}

/**
 * SQL: true if an event is about this ceremony. In canonical JSON only a member is written like that: in a text the quotation
 * marks are escaped. The events that it passes over are of the same window, which also has a limited number of them.
 *
 * @param ceremony SQL
 */
function isOf(ceremony: string): string {
  return `strpos(event, '"ceremony":"' || ${ceremony} || '"') > 0`;
}

/** SQL: the issued challenge that must leave the window before the user is given another; null: none must. */
export function challengeInTheWay({ rpId, uid, limit }: Limited, ceremony: Ceremony, { since, until }: Window): string {
  return `(SELECT id FROM audit_event
            WHERE rp_id = ${rpId} AND user_id = ${uid} AND type = 'challenge.issue' AND outcome = 'success'
              AND id >= ${since} AND id < ${until} AND ${isOf(`'${ceremony}'`)}
            ORDER BY id DESC OFFSET ${limit} - 1 LIMIT 1)`;
}

/**
 * SQL: the refusal after which the user rests; null: they need not.
 *
 * @param userId SQL
 */
export function refusalInTheWay(
  { rpId, uid, limit }: Limited,
  userId: string,
  { rest, since, until }: Window & { readonly rest: string },
): string {
  return `(SELECT ids[1] FROM (
             SELECT array_agg(id ORDER BY id DESC) AS ids FROM (
               SELECT id FROM audit_event
                WHERE rp_id = ${rpId} AND user_id = ${uid} AND type = 'credential.verify' AND outcome = 'failure'
                  AND id >= ${since} AND id < ${until}
                ORDER BY id DESC LIMIT ${limit}) AS newest) AS refused
            WHERE array_length(ids, 1) = ${limit} AND ids[1] >= ${rest}
              AND NOT EXISTS (SELECT FROM credential WHERE rp_id = ${rpId} AND user_id = ${userId}
                                AND extract(epoch FROM last_used_at) * 1000 > ${timeOf(`ids[${limit}]`)}))`;
}

/**
 * Records that a user is over a limit, unless that was recorded within the last minute for the same ceremony: a flood
 * must not fill the log.
 *
 * $1… audit row, challengesSince and the ceremony. A row: the event was written.
 */
export const RECORD_LIMIT = named<{ readonly id: string }>(
  'challenge-limit-record',
  auditStatement(
    1,
    `(SELECT WHERE NOT EXISTS (
       SELECT FROM audit_event
        WHERE rp_id = ${auditParameter(1, 'rp_id')} AND user_id = ${auditUid(1)} AND type = 'challenge.limit'
          AND outcome = 'failure' AND id >= $${String(1 + AUDIT_ROW_WIDTH)}::uuid
          AND ${isOf(`$${String(2 + AUDIT_ROW_WIDTH)}::text`)})) AS first`,
  ),
);
