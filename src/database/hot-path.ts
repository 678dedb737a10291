import { AUDIT_ROW_WIDTH, auditInsert } from '../audit/audit-row.js';
import type { Ceremony } from '../challenges/challenge.entity.js';
import type { CredentialEntity } from '../credentials/credential.entity.js';
import { DEFAULT_POLICY, type RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { named } from './named-statement.js';
import { challengeInTheWay, RECORD_LIMIT, refusalInTheWay } from './user-limits.js';

/**
 * An authentication is three statements and one flush to disk:
 *
 * 1. ISSUE_AUTHENTICATION stores the challenge and its audit event and returns what the options need. Its commit is
 *    asynchronous: a challenge that a crash loses is a ceremony begun again, never a hole.
 * 2. REDEEM deletes the challenge, which only one of any number of concurrent answers can, and returns it with all that
 *    the answer is judged by. Asynchronous too: WAL is in order, so the commit of 3 makes it durable before anyone is
 *    told of success.
 * 3. ACCEPT_AUTHENTICATION compares and sets the sign count, and writes the audit event if and only if that succeeded.
 *
 * A registration begins with ISSUE_REGISTRATION and REDEEM and ends in a transaction of its own.
 */

/** Must be joined to be evaluated; commits the statement's own transaction without waiting for the disk. */
const ASYNCHRONOUS = `asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))`;

const DESCRIPTORS = `json_agg(json_build_object('id', encode(credential_id, 'hex'), 'transports', transports) ORDER BY id)`;

export interface Descriptor {
  /** Hexadecimal. */
  readonly id: string;
  readonly transports: string[];
}

/** The audit events because of which a user's challenge was not issued (user-limits.ts); both null: it was. */
export interface InTheWay {
  readonly challenge_in_the_way: string | null;
  readonly refusal_in_the_way: string | null;
}

interface IssuedAuthentication extends InTheWay {
  readonly policy: RelyingPartyPolicy;
  readonly descriptors: Descriptor[] | null;
  readonly expires_at: Date | null;
}

interface IssuedRegistration extends InTheWay {
  readonly handle: Buffer | null;
}

/** SQL: a limit of the relying party; one that was stored before there were limits has the default. */
function userLimit(name: keyof RelyingPartyPolicy['userLimits']): string {
  return `coalesce((policy #>> '{userLimits,${name}}')::integer, ${String(DEFAULT_POLICY.userLimits[name])})`;
}

const ISSUED_CHALLENGE_COLUMNS = 'id, rp_id, user_id, purpose, issued_to, challenge, ceremony, conditional, attachment';

/**
 * $1 id, $2 RP ID, $3 user id or null, $4 purpose or null, $5 SPIFFE ID, $6 challenge, $7 now, $8 challengesSince,
 * $9 and $10 refusalsSince, $11… audit row.
 * No row: the relying party does not exist or is switched off. No expiry: the user is over a limit, nothing was stored.
 */
export const ISSUE_AUTHENTICATION = named<IssuedAuthentication>(
  'challenge-issue-authentication',
  `WITH ${ASYNCHRONOUS},
     party AS (
       SELECT policy,
              ${challengeInTheWay({ since: 8, auditRow: 11, limit: userLimit('challengesPerMinute') })} AS challenge_in_the_way,
              ${refusalInTheWay({ since: 9, auditRow: 11, limit: userLimit('refusalsPerHalfHour') })} AS refusal_in_the_way
       FROM relying_party, asynchronous WHERE rp_id = $2 AND enabled),
     issued AS (
       INSERT INTO challenge (${ISSUED_CHALLENGE_COLUMNS}, expires_at)
       SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::bytea, 'authentication', FALSE, NULL,
              $7::timestamptz + make_interval(secs => (policy ->> 'challengeTtlSeconds')::integer)
       FROM party WHERE challenge_in_the_way IS NULL AND refusal_in_the_way IS NULL
       RETURNING expires_at),
     recorded AS (${auditInsert(11, 'FROM issued')})
   SELECT policy, expires_at, challenge_in_the_way, refusal_in_the_way,
          (SELECT ${DESCRIPTORS} FROM credential
            WHERE rp_id = $2 AND user_id = $3 AND status = 'active') AS descriptors
   FROM party LEFT JOIN issued ON TRUE`,
);

/**
 * $1 id, $2 RP ID, $3 user id, $4 purpose or null, $5 SPIFFE ID, $6 challenge, $7 expiry, $8 conditional,
 * $9 attachment or null, $10 new user handle, $11 now, $12 challenges per minute, $13 challengesSince, $14… audit row.
 * No handle: the user is over the limit, nothing was stored.
 */
export const ISSUE_REGISTRATION = named<IssuedRegistration>(
  'challenge-issue-registration',
  `WITH ${ASYNCHRONOUS},
     limited AS (
       SELECT ${challengeInTheWay({ since: 13, auditRow: 14, limit: '$12::integer' })} AS challenge_in_the_way
       FROM asynchronous),
     handle AS (
       INSERT INTO user_handle (rp_id, user_id, handle, created_at)
       SELECT $2::text, $3::text, $10::bytea, $11::timestamptz FROM limited WHERE challenge_in_the_way IS NULL
       ON CONFLICT (rp_id, user_id) DO UPDATE SET handle = user_handle.handle
       RETURNING handle, audit_uid),
     issued AS (
       INSERT INTO challenge (${ISSUED_CHALLENGE_COLUMNS}, expires_at)
       SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::bytea, 'registration', $8::boolean, $9::text, $7::timestamptz FROM handle
       RETURNING id),
     recorded AS (${auditInsert(14, 'FROM issued, handle', 'audit_uid::text')})
   SELECT challenge_in_the_way, NULL AS refusal_in_the_way, handle FROM limited LEFT JOIN handle ON TRUE`,
);

/** The credential's columns by the entity's members; a redeemed challenge brings them with the prefix `c_`. */
const CREDENTIAL_COLUMNS: Readonly<Record<keyof CredentialEntity, string>> = {
  rpId: 'rp_id',
  id: 'id',
  userId: 'user_id',
  credentialId: 'credential_id',
  publicKey: 'public_key',
  algorithm: 'algorithm',
  aaguid: 'aaguid',
  name: 'name',
  status: 'status',
  statusReason: 'status_reason',
  statusChangedAt: 'status_changed_at',
  attachment: 'attachment',
  transports: 'transports',
  discoverable: 'discoverable',
  backupEligible: 'backup_eligible',
  backedUp: 'backed_up',
  userVerified: 'user_verified',
  attestationFormat: 'attestation_format',
  attestationTrust: 'attestation_trust',
  signCount: 'sign_count',
  createdAt: 'created_at',
  createdBy: 'created_by',
  lastUsedAt: 'last_used_at',
  bindingMac: 'binding_mac',
};

/** What an answer is judged by: the challenge, the relying party as it is now and the handle of the user in question. */
export interface Redeemed {
  readonly rp_id: string;
  readonly user_id: string | null;
  readonly ceremony: Ceremony;
  readonly purpose: string | null;
  readonly challenge: Buffer;
  readonly conditional: boolean;
  readonly attachment: string | null;
  readonly expires_at: Date;
  readonly origins: string[] | null;
  readonly enabled: boolean | null;
  readonly policy: RelyingPartyPolicy | null;
  readonly handle: Buffer | null;
  readonly c_id: string | null;
}

/** The credential that the answer names, when the relying party has it. */
export function credentialOf(redeemed: Redeemed): CredentialEntity | undefined {
  if (redeemed.c_id === null) return undefined;
  const row = redeemed as unknown as Readonly<Record<string, unknown>>;
  const members = Object.entries(CREDENTIAL_COLUMNS).map(([member, column]) => [member, row[`c_${column}`]]);
  return Object.fromEntries(members) as CredentialEntity;
}

/** $1 challenge id, $2 SPIFFE ID, $3 the caller's relying parties or null for all, $4 credential id of the answer. */
export const REDEEM = named<Redeemed>(
  'challenge-redeem',
  `WITH ${ASYNCHRONOUS},
     redeemed AS (
       DELETE FROM challenge WHERE id = $1::uuid AND issued_to = $2 AND ($3::text[] IS NULL OR rp_id = ANY ($3))
       RETURNING *)
   SELECT r.rp_id, r.user_id, r.ceremony, r.purpose, r.challenge, r.conditional, r.attachment, r.expires_at,
          p.origins, p.enabled, p.policy, h.handle,
          ${Object.values(CREDENTIAL_COLUMNS)
            .map((column) => `c.${column} AS c_${column}`)
            .join(', ')}
   FROM redeemed r
     CROSS JOIN asynchronous
     LEFT JOIN relying_party p ON p.rp_id = r.rp_id
     LEFT JOIN credential c ON c.rp_id = r.rp_id AND c.credential_id = $4::bytea
     LEFT JOIN user_handle h ON h.rp_id = r.rp_id AND h.user_id = coalesce(c.user_id, r.user_id)`,
);

/**
 * $1 RP ID, $2 credential's id, $3 its binding MAC, $4 sign count, $5 backed up, $6 now, $7 whether a sign count that
 * does not grow is only flagged, $8… audit row. No row: the credential has changed since it was read, or its sign count
 * did not grow.
 */
export const ACCEPT_AUTHENTICATION = named<{ readonly sign_count: number }>(
  'authentication-accept',
  `WITH accepted AS (
     UPDATE credential
     SET sign_count = greatest(sign_count, $4::bigint), backed_up = $5::boolean, last_used_at = $6::timestamptz
     WHERE rp_id = $1 AND id = $2::uuid AND status = 'active' AND binding_mac = $3::bytea
       AND (sign_count < $4::bigint OR (sign_count = 0 AND $4::bigint = 0) OR $7::boolean)
     RETURNING sign_count),
   recorded AS (${auditInsert(8, 'FROM accepted')})
   SELECT sign_count FROM accepted`,
);

/** The statements whose plans must not grow with the tables, with how many parameters each takes. */
export const HOT_STATEMENTS = [
  { statement: ISSUE_AUTHENTICATION, parameters: 10 + AUDIT_ROW_WIDTH },
  { statement: ISSUE_REGISTRATION, parameters: 13 + AUDIT_ROW_WIDTH },
  { statement: RECORD_LIMIT, parameters: AUDIT_ROW_WIDTH + 1 },
  { statement: REDEEM, parameters: 4 },
  { statement: ACCEPT_AUTHENTICATION, parameters: 7 + AUDIT_ROW_WIDTH },
];
