import { Injectable } from '@nestjs/common';
import {
  AUDIT_COLUMNS,
  type AuditRow,
  extractEvent,
  insertEachEventPartsSql,
  toAuditRecord,
} from '../audit/audit-event.repository.js';
import { SpentChallengePeriods } from '../challenges/spent-challenge-periods.js';
import { StatementBatcher } from '../database/statement-batcher.js';
import { CeremonyPool } from '../database/ceremony-pool.js';
import { createRowsStatement, type RowsStatement, rowsWithLineSql, toByteaText } from '../database/rows-statement.js';
import { Problem } from '../http/problem.js';
import {
  insertSignalsSql,
  type SignalledChange,
  type SignalPart,
  WITH_SIGNALS,
  WITHOUT_SIGNALS,
} from '../signals/outbox.repository.js';
import {
  CREDENTIAL_LIST,
  CREDENTIAL_RECORD,
  listCredentialColumns,
  toCredentialRecord,
  type CredentialEntity,
} from './credential.entity.js';
import { REFUSE, REFUSE_SUSPECT, type RefuseInput, spendSql } from './refused-answer.repository.js';
import { isTakenMeanwhile, isWithoutPeriod } from './answer-failures.js';
import { LOAD, type LoadedAnswer, type LoadInput } from './loaded-answer.repository.js';

/*
 * The outcomes of an answer to a challenge. LOAD (loaded-answer.repository.ts) reads what the answer is checked against.
 * Each statement here is an outcome: it spends the challenge, changes what the outcome changes and records the event, all or nothing.
 * src/challenges/challenge.repository.ts explains how they work together with those that issue.
 *
 * A challenge is spent by inserting its id. Of several statements that insert one id, the first to commit wins, and the
 * others insert nothing and so do nothing. Each takes its locks in one order: users or credentials first, then the ids
 * of challenges.
 */

export interface AcceptAuthenticationInput {
  readonly challengeId: string;
  /** As it was read. */
  readonly credential: Pick<CredentialEntity, 'rpId' | 'id' | 'version' | 'signCount' | 'bindingMac'>;
  readonly signCount: number;
  readonly backedUp: boolean;
  readonly backupEligible: boolean;
  readonly version: number;
  readonly lastSignInAt: Date | null;
  /** What the row remembers of browser-bound keys; undefined: what it does already. */
  readonly browserKeys?: string | undefined;
  /** See CredentialEntity. */
  readonly userHandle: Buffer | null;
  /** The seal of the row with the new sign count, backup eligibility, time of the last sign-in, browser-bound keys, user handle and version. */
  readonly bindingMac: Buffer;
  readonly now: Date;
  /** True if a sign count that does not grow is only flagged (signCountRegression). */
  readonly flag: boolean;
  readonly event: AuditRow;
  /** What receivers of Shared Signals hear of it; undefined: nothing, as of every ordinary sign-in. */
  readonly signal?: SignalledChange | undefined;
}

interface AcceptedAuthentication {
  /** null: another answer has spent the challenge, and nothing was changed. */
  readonly sign_count: number | null;
}

/**
 * SQL: the credential is as LOAD read it, and the sign count grows. A seal of the version before says nothing of the name, the
 * version and the sign count, so it alone would not notice another change.
 */
const UNCHANGED = `c.status = 'active' AND c.binding_mac = mac AND c.version = read_version AND c.sign_count = read_count AND (c.sign_count < received OR (c.sign_count = 0 AND received = 0) OR flag)`;

const ACCEPTED = '(SELECT verified.* FROM verified JOIN accepted USING (ordinality)) AS event';

/**
 * No result: the credential has changed since LOAD read it, or its sign count did not grow. Then the challenge is not
 * spent, and the refusal spends it.
 *
 * The UPDATE compares `rp_id || ''` to find the row by its id. An index that begins with the relying party looks as good
 * while the table is new.
 */
const createAcceptAuthentication = (
  name: string,
  signals: SignalPart,
): RowsStatement<AcceptAuthenticationInput, AcceptedAuthentication> =>
  createRowsStatement<AcceptAuthenticationInput, AcceptedAuthentication>({
    name,
    text: `WITH verified AS MATERIALIZED (
       SELECT * FROM ${rowsWithLineSql(`challenge_id uuid, rp_id text, id uuid, mac bytea, read_version integer, read_count bigint, received bigint, backed_up boolean, eligible boolean, new_version integer, new_mac bytea, now timestamptz, signed_in timestamptz, new_keys text, held_handle bytea, flag boolean, ${AUDIT_COLUMNS}${signals.columns}`, 'audit_event')} AS given
       ORDER BY rp_id, id),
     locked AS MATERIALIZED (
       SELECT verified.* FROM verified,
         LATERAL (SELECT rp_id AS found_rp_id, status, version, binding_mac, sign_count FROM credential WHERE id = verified.id FOR NO KEY UPDATE OFFSET 0) AS c
       WHERE rp_id = found_rp_id AND ${UNCHANGED}),
     spent AS (${spendSql('locked')}),
     accepted AS (
       UPDATE credential c
       SET sign_count = greatest(c.sign_count, received), backed_up = v.backed_up, backup_eligible = eligible, version = new_version, binding_mac = new_mac, last_used_at = now, last_sign_in_at = signed_in, browser_keys = coalesce(new_keys, c.browser_keys), user_handle = held_handle
       FROM locked v JOIN spent ON spent.id = v.challenge_id
       WHERE c.id = ANY (ARRAY(SELECT id FROM locked)) AND c.id = v.id AND c.rp_id || '' = v.rp_id AND ${UNCHANGED}
       RETURNING ordinality, c.sign_count),
     ${insertEachEventPartsSql(ACCEPTED)}${signals.sql(ACCEPTED)}
   SELECT ordinality::integer AS n, sign_count FROM locked LEFT JOIN accepted USING (ordinality)`,
    record: ({ credential, signCount, backedUp, now, flag, event, ...row }) => ({
      challenge_id: row.challengeId,
      rp_id: credential.rpId,
      id: credential.id,
      mac: toByteaText(credential.bindingMac),
      read_version: credential.version,
      read_count: credential.signCount,
      received: signCount,
      backed_up: backedUp,
      now,
      flag,
      eligible: row.backupEligible,
      new_version: row.version,
      new_mac: toByteaText(row.bindingMac),
      signed_in: row.lastSignInAt,
      new_keys: row.browserKeys,
      held_handle: row.userHandle && toByteaText(row.userHandle),
      ...toAuditRecord(event),
      ...signals.record(row.signal),
    }),
    line: ({ event }) => extractEvent(event),
  });

export const ACCEPT_AUTHENTICATION = createAcceptAuthentication('authentication-accept', WITHOUT_SIGNALS);
/** The same for an answer that suggests a clone: receivers hear of it. */
export const ACCEPT_SUSPECT = createAcceptAuthentication('authentication-accept-suspect', WITH_SIGNALS);

export interface AcceptRegistrationInput {
  readonly challengeId: string;
  readonly credential: CredentialEntity;
  /** The user handle that the authenticator was told. */
  readonly handle: Buffer;
  /** How often all passkeys of the user had been revoked when the registration began. */
  readonly revocations: number;
  /** The version of the relying party whose policy the answer was checked against. */
  readonly version: number;
  /** The most passkeys that the user may have, this one included. */
  readonly most: number;
  readonly event: AuditRow;
  /** What the signals of one cause have in common. */
  readonly txn: string;
}

export interface AcceptedRegistration {
  /** False: one of the following is in the way, or another answer has spent the challenge. */
  readonly stored: boolean;
  /** False: the relying party has changed since it was read. */
  readonly current: boolean;
  /** True: the relying party has a credential with this credential id. */
  readonly taken: boolean;
  /** The number of the user's other passkeys that are not revoked. */
  readonly held: number;
}

/** SQL: the stored passkeys, as changes that receivers of Shared Signals hear of. Only a stream makes it cost something. */
const CREATED = `(SELECT 'create' AS signal_kind, rp_id AS signal_rp_id, user_id AS signal_user_id, name AS signal_name,
              attachment AS signal_attachment, aaguid AS signal_aaguid, 'user' AS signal_initiator,
              'the user registered it' AS signal_reason, txn AS signal_txn, created_at AS signal_time
         FROM checked JOIN stored USING (id)) AS created`;

/**
 * Locks the users, so the registrations of one user follow each other, and these and the user's erasure or revocation.
 * count_credentials() reads after the lock and sees what the statement before has stored. If another statement stores the
 * same credential id meanwhile, this one fails by unique_violation and changes nothing. No result: the user has no such
 * handle, because it was erased, or because a crash lost it; or all passkeys of the user were revoked since the registration began.
 */
export const ACCEPT_REGISTRATION = createRowsStatement<AcceptRegistrationInput, AcceptedRegistration>({
  name: 'registration-accept',
  text: `WITH verified AS MATERIALIZED (
       SELECT * FROM ${rowsWithLineSql(`challenge_id uuid, told_handle bytea, told_revocations integer, party_version integer, most integer, txn text, ${CREDENTIAL_RECORD}, ${AUDIT_COLUMNS}`, 'audit_event')} AS given
       ORDER BY rp_id, user_id),
     locked AS MATERIALIZED (
       SELECT verified.* FROM verified,
         LATERAL (SELECT handle, revocations FROM user_handle u WHERE u.rp_id = verified.rp_id AND u.user_id = verified.user_id FOR UPDATE OFFSET 0) AS u
       WHERE handle = told_handle AND coalesce(revocations, 0) = told_revocations),
     checked AS MATERIALIZED (
       SELECT locked.*, count_credentials(rp_id, user_id) AS held,
              coalesce((SELECT p.version = locked.party_version AND p.enabled FROM relying_party p WHERE p.rp_id = locked.rp_id), FALSE) AS current,
              EXISTS (SELECT FROM (SELECT rp_id FROM credential c WHERE c.credential_id = locked.credential_id OFFSET 0) AS found
                       WHERE found.rp_id = locked.rp_id) AS taken
       FROM locked),
     spent AS (${spendSql('checked WHERE held < most AND current AND NOT taken')}),
     stored AS (
       INSERT INTO credential (${CREDENTIAL_LIST})
       SELECT ${listCredentialColumns('checked')} FROM checked JOIN spent ON spent.id = challenge_id
       ORDER BY credential_id
       RETURNING id),
     ${insertEachEventPartsSql('(SELECT checked.* FROM checked JOIN stored USING (id)) AS event')},
     signalled AS (${insertSignalsSql(CREATED)})
   SELECT ordinality::integer AS n, stored.id IS NOT NULL AS stored, current, taken, held
   FROM checked LEFT JOIN stored ON stored.id = checked.id`,
  record: ({ challengeId, credential, handle, revocations, version, most, event, txn }) => ({
    challenge_id: challengeId,
    told_handle: toByteaText(handle),
    told_revocations: revocations,
    party_version: version,
    most,
    txn,
    ...toAuditRecord(event),
    ...toCredentialRecord(credential),
  }),
  line: ({ event }) => extractEvent(event),
});

/** Loads what answers are checked against, and stores their outcomes. Concurrent answers of this process share statements. */
@Injectable()
export class AnswerRepository {
  private readonly loads;
  private readonly authentications;
  private readonly suspects;
  private readonly registrations;
  private readonly refusals;
  private readonly refusedSuspects;

  constructor(
    pool: CeremonyPool,
    private readonly periods: SpentChallengePeriods,
  ) {
    this.loads = new StatementBatcher(LOAD, pool, () => []);
    const keysOfUse = ({ challengeId, credential }: AcceptAuthenticationInput): string[] => [
      challengeId,
      credential.id,
    ];
    this.authentications = new StatementBatcher(ACCEPT_AUTHENTICATION, pool, keysOfUse);
    this.suspects = new StatementBatcher(ACCEPT_SUSPECT, pool, keysOfUse);
    this.registrations = new StatementBatcher(ACCEPT_REGISTRATION, pool, ({ challengeId, credential }) => [
      challengeId,
      JSON.stringify([credential.rpId, credential.userId]),
      credential.credentialId.toString('base64'),
    ]);
    this.refusals = new StatementBatcher(REFUSE, pool, ({ challengeId }) => [challengeId]);
    this.refusedSuspects = new StatementBatcher(REFUSE_SUSPECT, pool, ({ challengeId }) => [challengeId]);
  }

  /** @returns undefined: the relying party does not exist or is disabled */
  load(input: LoadInput): Promise<LoadedAnswer | undefined> {
    return this.loads.run(input);
  }

  /**
   * @returns undefined: the credential has changed since it was read, or its sign count did not grow
   * @throws Problem challenge-spent
   */
  async acceptAuthentication(input: AcceptAuthenticationInput): Promise<number | undefined> {
    const statement = input.signal ? this.suspects : this.authentications;
    const accepted = await this.spend(() => statement.run(input));
    if (accepted?.sign_count === null) throw new Problem('challenge-spent');
    return accepted?.sign_count;
  }

  /** @returns undefined: the user does not exist, or has another handle */
  async acceptRegistration(input: AcceptRegistrationInput): Promise<AcceptedRegistration | undefined> {
    const run = (): Promise<AcceptedRegistration | undefined> => this.spend(() => this.registrations.run(input));
    try {
      return await run();
    } catch (error) {
      if (!isTakenMeanwhile(error)) throw error;
      return run();
    }
  }

  /** @throws Problem challenge-spent */
  async refuse(input: RefuseInput): Promise<void> {
    const statement = input.signal ? this.refusedSuspects : this.refusals;
    const refused = await this.spend(() => statement.run(input));
    if (!refused) throw new Problem('challenge-spent');
  }

  /**
   * Runs an outcome. If the challenge is of a period that has no partition yet, it makes the partition first. A period
   * that is over has none and never gets one, so nobody can spend its challenges again.
   */
  private async spend<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run();
    } catch (error) {
      if (!isWithoutPeriod(error)) throw error;
    }
    await this.periods.make();
    try {
      return await run();
    } catch (error) {
      throw isWithoutPeriod(error) ? new Problem('challenge-spent') : error;
    }
  }
}
