import { AUDIT_COLUMNS, AUDIT_ROW_WIDTH, auditEvent, auditParts, auditPartsEach, auditRecord, type AuditRow, auditUid } from '../audit/audit-row.js'; // prettier-ignore
import type { Ceremony } from '../challenges/challenge.entity.js';
import type { CredentialEntity } from '../credentials/credential.entity.js';
import { DEFAULT_POLICY, type RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { type Descriptor, descriptorsWhere } from './descriptors.js';
import { named } from './named-statement.js';
import { forRows, hex, rowsOf, rowsWithLine } from './rows-statement.js';
import {
  challengeInTheWay,
  challengesSince,
  countedUntil,
  RECORD_LIMIT,
  refusalInTheWay,
  refusalsSince,
} from './user-limits.js';

/**
 * An authentication is three statements and one flush to disk:
 *
 * 1. ISSUE_AUTHENTICATION stores the challenge and its audit event, and returns the data for the options. It commits
 *    asynchronously: if a crash loses a challenge, the user begins again, and no attacker gains anything.
 * 2. REDEEM deletes the challenge and returns it with everything that the answer is checked against. Of several
 *    concurrent answers only one can delete it. It commits asynchronously, too: WAL is in order, so the commit of step
 *    3 makes this one durable before the caller hears of success.
 * 3. ACCEPT_AUTHENTICATION compares and sets the sign count, and writes the audit event if and only if that succeeded.
 *
 * Each statement works on many ceremonies at once (combined.ts). It takes locks in one order or skips locked rows, so
 * overlapping statements do not deadlock.
 *
 * Several indexes of the credential table begin with the relying party, and on a new table PostgreSQL cannot tell which
 * one to use. So a statement finds a credential by its id alone, behind OFFSET 0, and then checks the other conditions.
 *
 * A registration begins with ISSUE_REGISTRATION and REDEEM, and ends in a transaction of its own.
 */

/**
 * SQL: commits the transaction of the statement without waiting for the disk. It takes effect only if the statement
 * joins it.
 */
const ASYNCHRONOUS = `asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))`;

/** The audit events that block a challenge (user-limits.ts). Both null: the challenge was issued. */
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

/** SQL: a limit of the relying party. A policy that was stored before there were limits has the default. */
function userLimit(name: keyof RelyingPartyPolicy['userLimits']): string {
  return `coalesce((policy #>> '{userLimits,${name}}')::integer, ${String(DEFAULT_POLICY.userLimits[name])})`;
}

const ISSUED_CHALLENGE_COLUMNS = 'id, rp_id, user_id, purpose, issued_to, challenge, ceremony, conditional, attachment';

export interface AuthenticationToIssue {
  readonly id: string;
  readonly rpId: string;
  readonly userId: string | undefined;
  readonly purpose: string | undefined;
  /** SPIFFE ID of the caller. */
  readonly issuedTo: string;
  readonly challenge: Buffer;
  readonly now: Date;
  readonly event: AuditRow;
}

const ASKED = { rpId: 'asked.rp_id', uid: 'asked.uid' };

/**
 * $3 challengesSince, $4 and $5 refusalsSince, $6 countedUntil, all for the first row: rows that go together are of one
 * moment.
 * No result: the relying party does not exist or is disabled. No expiry: the user is over a limit, and nothing was
 * stored.
 */
export const ISSUE_AUTHENTICATION = forRows<AuthenticationToIssue, IssuedAuthentication>({
  name: 'challenge-issue-authentication',
  text: `WITH ${ASYNCHRONOUS},
     asked AS MATERIALIZED (
       SELECT given.*, policy, coalesce(
         (SELECT audit_uid::text FROM user_handle u WHERE u.rp_id = given.rp_id AND u.user_id = given.user_id), audit_stand_in) AS uid
       FROM asynchronous,
         ${rowsWithLine(`id uuid, rp_id text, user_id text, purpose text, issued_to text, challenge bytea, now timestamptz, ${AUDIT_COLUMNS}`, 'audit_event')} AS given
         JOIN relying_party USING (rp_id)
       WHERE enabled),
     counted AS MATERIALIZED (
       SELECT *, ${challengeInTheWay({ ...ASKED, limit: userLimit('challengesPerMinute') }, 'authentication', { since: '$3::uuid', until: '$6::uuid' })} AS challenge_in_the_way,
              ${refusalInTheWay({ ...ASKED, limit: userLimit('refusalsPerHalfHour') }, 'asked.user_id', { rest: '$4::uuid', since: '$5::uuid', until: '$6::uuid' })} AS refusal_in_the_way
       FROM asked),
     free AS MATERIALIZED (
       SELECT *, now + make_interval(secs => (policy ->> 'challengeTtlSeconds')::integer) AS expires_at
       FROM counted WHERE challenge_in_the_way IS NULL AND refusal_in_the_way IS NULL),
     issued AS (
       INSERT INTO challenge (${ISSUED_CHALLENGE_COLUMNS}, expires_at)
       SELECT id, rp_id, user_id, purpose, issued_to, challenge, 'authentication', FALSE, NULL, expires_at FROM free),
     ${auditPartsEach('free', 'free.uid')}
   SELECT counted.ordinality::integer AS n, counted.policy, free.expires_at::timestamptz(3), counted.challenge_in_the_way, counted.refusal_in_the_way,
          ${descriptorsWhere("rp_id = counted.rp_id AND user_id = counted.user_id AND status = 'active'")} AS descriptors
   FROM counted LEFT JOIN free USING (ordinality)`,
  record: ({ id, rpId, userId, purpose, issuedTo, challenge, now, event }) => ({
    ...{ id, rp_id: rpId, user_id: userId, purpose, issued_to: issuedTo, challenge: hex(challenge), now },
    ...auditRecord(event),
  }),
  line: ({ event }) => auditEvent(event),
  shared: ([{ now }]) => [challengesSince(now), ...refusalsSince(now), countedUntil(now)],
});

/**
 * $1 id, $2 RP ID, $3 user id, $4 purpose or null, $5 SPIFFE ID, $6 challenge, $7 expiry, $8 conditional, $9 attachment
 * or null, $10 new user handle, $11 now, $12 challenges per minute, $13 challengesSince, $14 countedUntil, $15… audit
 * row.
 * No handle: the user is over the limit, and nothing was stored.
 */
export const ISSUE_REGISTRATION = named<IssuedRegistration>(
  'challenge-issue-registration',
  `WITH ${ASYNCHRONOUS},
     limited AS (
       SELECT ${challengeInTheWay({ rpId: '$2', uid: auditUid(15), limit: '$12::integer' }, 'registration', { since: '$13::uuid', until: '$14::uuid' })} AS challenge_in_the_way
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
     ${auditParts(15, 'issued, handle', 'handle.audit_uid::text')}
   SELECT challenge_in_the_way, NULL AS refusal_in_the_way, handle FROM limited LEFT JOIN handle ON TRUE`,
);

/** The columns of a credential by the members of the entity. REDEEM returns them with the prefix `c_`. */
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

/**
 * A redeemed challenge with the data that the answer is checked against: the present relying party, the credential that
 * the answer names (prefix `c_`) and the handle of its user.
 */
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
  /** The user's pseudonym in the audit log. */
  readonly audit_uid: string | null;
  readonly c_id: string | null;
}

const CREDENTIAL_MEMBERS = Object.entries(CREDENTIAL_COLUMNS).map(
  ([member, column]) => [member, `c_${column}`] as const,
);

/** The credential that the answer names; undefined: the relying party has none with this id. */
export function credentialOf(redeemed: Redeemed): CredentialEntity | undefined {
  if (redeemed.c_id === null) return undefined;
  const row = redeemed as unknown as Readonly<Record<string, unknown>>;
  const credential: Record<string, unknown> = {};
  for (const [member, column] of CREDENTIAL_MEMBERS) credential[member] = row[column];
  return credential as unknown as CredentialEntity;
}

export interface ToRedeem {
  readonly challengeId: string;
  /** SPIFFE ID of the caller. The challenge must have been issued to it. */
  readonly spiffeId: string;
  /** Relying parties that the caller may act for; null: all. */
  readonly relyingParties: readonly string[] | null;
  /** Credential id in the answer. */
  readonly credentialId: Buffer;
}

/**
 * A challenge that another statement is redeeming counts as gone, so no statement waits for another. Rows that are
 * locked here keep their ctid until the end of the transaction, so they are deleted by ctid. No result: the challenge
 * does not exist.
 */
export const REDEEM = forRows<ToRedeem, Redeemed>({
  name: 'challenge-redeem',
  text: `WITH ${ASYNCHRONOUS},
     free AS MATERIALIZED (
       SELECT challenge.*, ordinality, answered
       FROM asynchronous,
         ${rowsOf('challenge_id uuid, spiffe_id text, relying_parties text[], answered bytea')} AS given,
         LATERAL (
           SELECT ctid AS place, * FROM challenge
           WHERE id = challenge_id AND issued_to = spiffe_id AND (relying_parties IS NULL OR rp_id = ANY (relying_parties))
           FOR UPDATE SKIP LOCKED) AS challenge),
     redeemed AS (DELETE FROM challenge WHERE ctid = ANY (ARRAY(SELECT place FROM free)) RETURNING id)
   SELECT r.ordinality::integer AS n, r.rp_id, r.user_id, r.ceremony, r.purpose, r.challenge, r.conditional, r.attachment, r.expires_at,
          p.origins, p.enabled, p.policy, h.handle, h.audit_uid,
          ${Object.values(CREDENTIAL_COLUMNS)
            .map((column) => `c.${column} AS c_${column}`)
            .join(', ')}
   FROM free r
     JOIN redeemed USING (id)
     LEFT JOIN relying_party p ON p.rp_id = r.rp_id
     LEFT JOIN LATERAL (
       SELECT * FROM (SELECT * FROM credential WHERE credential_id = r.answered OFFSET 0) AS found
        WHERE rp_id = r.rp_id LIMIT 1) AS c ON TRUE
     LEFT JOIN LATERAL (
       SELECT * FROM user_handle WHERE rp_id = r.rp_id AND user_id = coalesce(c.user_id, r.user_id) LIMIT 1) AS h ON TRUE`,
  record: ({ challengeId, spiffeId, relyingParties, credentialId }) => ({
    ...{ challenge_id: challengeId, spiffe_id: spiffeId, relying_parties: relyingParties, answered: hex(credentialId) },
  }),
});

export interface ToAccept {
  readonly credential: Pick<CredentialEntity, 'rpId' | 'id' | 'bindingMac'>;
  readonly signCount: number;
  readonly backedUp: boolean;
  /** The new backup eligibility. `bindingMac` is the MAC of the row with it. */
  readonly backupEligible: boolean;
  readonly bindingMac: Buffer;
  readonly now: Date;
  /** True if a sign count that does not grow is only flagged (signCountRegression). */
  readonly flag: boolean;
  /** Carries the pseudonym of the user, so the statement does not look it up. */
  readonly event: AuditRow;
}

/** No result: the credential has changed since REDEEM read it, or its sign count did not grow. */
export const ACCEPT_AUTHENTICATION = forRows<ToAccept, { readonly sign_count: number }>({
  name: 'authentication-accept',
  text: `WITH verified AS MATERIALIZED (
       SELECT * FROM ${rowsWithLine(`rp_id text, id uuid, mac bytea, received bigint, backed_up boolean, eligible boolean, new_mac bytea, now timestamptz, flag boolean, ${AUDIT_COLUMNS}`, 'audit_event')} AS given
       ORDER BY rp_id, id),
     locked AS MATERIALIZED (
       SELECT verified.* FROM verified,
         LATERAL (SELECT rp_id AS found_rp_id FROM credential WHERE id = verified.id FOR NO KEY UPDATE OFFSET 0) AS found
       WHERE rp_id = found_rp_id),
     accepted AS (
       UPDATE credential c
       SET sign_count = greatest(c.sign_count, received), backed_up = v.backed_up, backup_eligible = eligible, binding_mac = new_mac, last_used_at = now
       FROM locked v
       WHERE c.id = ANY (ARRAY(SELECT id FROM locked)) AND c.rp_id = v.rp_id AND c.id = v.id AND c.status = 'active' AND c.binding_mac = mac
         AND (c.sign_count < received OR (c.sign_count = 0 AND received = 0) OR flag)
       RETURNING ordinality, c.sign_count),
     ${auditPartsEach('(SELECT verified.* FROM verified JOIN accepted USING (ordinality)) AS event', 'audit_stand_in')}
   SELECT ordinality::integer AS n, sign_count FROM accepted`,
  record: ({ credential: { rpId, id, bindingMac: mac }, signCount, backedUp, now, flag, event, ...row }) => ({
    ...{ rp_id: rpId, id, mac: hex(mac), received: signCount, backed_up: backedUp, now, flag },
    ...{ eligible: row.backupEligible, new_mac: hex(row.bindingMac) },
    ...auditRecord(event),
  }),
  line: ({ event }) => auditEvent(event),
});

/** The statements whose plans must not grow with the tables, and the number of parameters of each. */
export const HOT_STATEMENTS = [
  { statement: ISSUE_AUTHENTICATION, parameters: ISSUE_AUTHENTICATION.parameters },
  { statement: ISSUE_REGISTRATION, parameters: 14 + AUDIT_ROW_WIDTH },
  { statement: RECORD_LIMIT, parameters: AUDIT_ROW_WIDTH + 2 },
  { statement: REDEEM, parameters: REDEEM.parameters },
  { statement: ACCEPT_AUTHENTICATION, parameters: ACCEPT_AUTHENTICATION.parameters },
];
