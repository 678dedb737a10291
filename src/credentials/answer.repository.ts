import { Inject, Injectable } from '@nestjs/common';
import {
  AUDIT_COLUMNS,
  type AuditRow,
  extractEvent,
  insertEachEventPartsSql,
  toAuditRecord,
} from '../audit/audit-event.repository.js';
import type { Ceremony } from '../challenges/challenge.entity.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { StatementBatcher } from '../database/statement-batcher.js';
import { CeremonyPool } from '../database/ceremony-pool.js';
import { ASYNCHRONOUS } from '../database/named-statement.js';
import { createRowsStatement, rowsSql, rowsWithLineSql, toByteaText } from '../database/rows-statement.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import type { CredentialEntity } from './credential.entity.js';

/*
 * The statements of an answer to a challenge. REDEEM takes the challenge and loads what the answer is checked against.
 * ACCEPT_AUTHENTICATION stores what a sign-in changes. src/challenges/challenge.repository.ts explains how they and the
 * statement that issues the challenge work together.
 */

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
export interface RedeemedChallenge {
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
export function readCredential(redeemed: RedeemedChallenge): CredentialEntity | undefined {
  if (redeemed.c_id === null) return undefined;
  const row = redeemed as unknown as Readonly<Record<string, unknown>>;
  const credential: Record<string, unknown> = {};
  for (const [member, column] of CREDENTIAL_MEMBERS) credential[member] = row[column];
  return credential as unknown as CredentialEntity;
}

export interface RedeemInput {
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
export const REDEEM = createRowsStatement<RedeemInput, RedeemedChallenge>({
  name: 'challenge-redeem',
  text: `WITH ${ASYNCHRONOUS},
     free AS MATERIALIZED (
       SELECT challenge.*, ordinality, answered
       FROM asynchronous,
         ${rowsSql('challenge_id uuid, spiffe_id text, relying_parties text[], answered bytea')} AS given,
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
    challenge_id: challengeId,
    spiffe_id: spiffeId,
    relying_parties: relyingParties,
    answered: toByteaText(credentialId),
  }),
});

export interface AcceptInput {
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
export const ACCEPT_AUTHENTICATION = createRowsStatement<AcceptInput, { readonly sign_count: number }>({
  name: 'authentication-accept',
  text: `WITH verified AS MATERIALIZED (
       SELECT * FROM ${rowsWithLineSql(`rp_id text, id uuid, mac bytea, received bigint, backed_up boolean, eligible boolean, new_mac bytea, now timestamptz, flag boolean, ${AUDIT_COLUMNS}`, 'audit_event')} AS given
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
     ${insertEachEventPartsSql('(SELECT verified.* FROM verified JOIN accepted USING (ordinality)) AS event', 'audit_stand_in')}
   SELECT ordinality::integer AS n, sign_count FROM accepted`,
  record: ({ credential: { rpId, id, bindingMac: mac }, signCount, backedUp, now, flag, event, ...row }) => ({
    rp_id: rpId,
    id,
    mac: toByteaText(mac),
    received: signCount,
    backed_up: backedUp,
    now,
    flag,
    eligible: row.backupEligible,
    new_mac: toByteaText(row.bindingMac),
    ...toAuditRecord(event),
  }),
  line: ({ event }) => extractEvent(event),
});

/** Redeems challenges and accepts answers. Concurrent answers of this process share statements. */
@Injectable()
export class AnswerRepository {
  private readonly redemptions;
  private readonly acceptances;

  constructor(
    pool: CeremonyPool,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.redemptions = new StatementBatcher(REDEEM, pool.through, ({ challengeId }) => challengeId.toLowerCase());
    this.acceptances = new StatementBatcher(ACCEPT_AUTHENTICATION, pool.through, ({ credential }) => credential.id);
  }

  /**
   * Redeems a challenge. If several answers come at once, one of them gets it. A challenge that was issued to another
   * caller, or for a relying party that this caller may not act for, stays stored.
   *
   * @param credentialId the credential id in the answer; that credential is loaded with the challenge
   * @throws Problem challenge-spent
   */
  async redeem(context: AuthorizedContext, challengeId: string, credentialId: Buffer): Promise<RedeemedChallenge> {
    const { caller, relyingParties } = context;
    const { spiffeId } = caller;
    const redeemed = await this.redemptions.run({ challengeId, spiffeId, relyingParties, credentialId });
    if (!redeemed || redeemed.expires_at <= this.clock.now()) throw new Problem('challenge-spent');
    return redeemed;
  }

  /** @returns undefined: the credential has changed since it was read, or its sign count did not grow */
  accept(answer: AcceptInput): Promise<{ readonly sign_count: number } | undefined> {
    return this.acceptances.run(answer);
  }
}
