/**
 * The SQL of challenges. An authentication is three statements and one flush to disk:
 *
 * 1. ISSUE_AUTHENTICATION stores the challenge and its audit event, and returns the data for the options. It commits
 *    asynchronously: if a crash loses a challenge, the user begins again, and no attacker gains anything.
 * 2. REDEEM deletes the challenge and returns it with everything that the answer is checked against. Of several
 *    concurrent answers only one can delete it. It commits asynchronously, too: WAL is in order, so the commit of step
 *    3 makes this one durable before the caller hears of success.
 * 3. ACCEPT_AUTHENTICATION compares and sets the sign count, and writes the audit event if and only if that succeeded.
 *
 * Each statement works on many ceremonies at once (src/database/statement-batcher.ts). It takes locks in one order or
 * skips locked rows, so overlapping statements do not deadlock.
 *
 * Several indexes of the credential table begin with the relying party, and on a new table PostgreSQL cannot tell which
 * one to use. So a statement finds a credential by its id alone, behind OFFSET 0, and then checks the other conditions.
 *
 * A registration begins with ISSUE_REGISTRATION and REDEEM, and ends in a transaction of its own
 * (src/credentials/register-credential.ts).
 *
 * REDEEM and ACCEPT_AUTHENTICATION are in src/credentials/answer.repository.ts, and the SQL of the limits is in
 * user-limits.repository.ts. docs/sql shows every statement as PostgreSQL gets it.
 */
import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import {
  AUDIT_COLUMNS,
  type AuditRow,
  extractEvent,
  insertEachEventPartsSql,
  insertEventPartsSql,
  pseudonymSql,
  toAuditRecord,
} from '../audit/audit-event.repository.js';
import { StatementBatcher } from '../database/statement-batcher.js';
import { CeremonyPool } from '../database/ceremony-pool.js';
import { ASYNCHRONOUS, nameStatement } from '../database/named-statement.js';
import { createRowsStatement, toByteaText, rowsWithLineSql } from '../database/rows-statement.js';
import { MAX_CREDENTIALS_PER_USER, type RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { userLimitSql } from '../relying-parties/relying-party.repository.js';
import {
  blockingChallengeSql,
  blockingRefusalSql,
  getCountedIdEnd,
  getFirstChallengeId,
  getFirstRefusalIds,
} from './user-limits.repository.js';

/** The audit events that block a challenge (user-limiter.ts). Both null: the challenge was issued. */
export interface BlockingEvents {
  readonly challenge_in_the_way: string | null;
  readonly refusal_in_the_way: string | null;
}

interface IssuedAuthentication extends BlockingEvents {
  readonly policy: RelyingPartyPolicy;
  readonly descriptors: Descriptor[] | null;
  readonly expires_at: Date | null;
}

interface IssuedRegistration extends BlockingEvents {
  readonly handle: Buffer | null;
}

export interface Descriptor {
  /** Lower-case hexadecimal credential id. */
  readonly id: string;
  readonly transports: string[];
}

/** SQL: the order of a user's list. Decoys have it, too. */
export const LAST_USED_FIRST = `coalesce(last_used_at, created_at) DESC, id DESC`;

/**
 * SQL: the descriptors of the credentials that meet the condition, as a JSON array, the most recently used first, and
 * at most as many as a browser accepts. NULL: there are none.
 */
function descriptorsSql(condition: string): string {
  return `(SELECT json_agg(json_build_object('id', encode(credential_id, 'hex'), 'transports', transports) ORDER BY ${LAST_USED_FIRST})
             FROM (SELECT * FROM credential WHERE ${condition} ORDER BY ${LAST_USED_FIRST} LIMIT ${String(MAX_CREDENTIALS_PER_USER)}) AS shown)`;
}

const ISSUED_CHALLENGE_COLUMNS = 'id, rp_id, user_id, purpose, issued_to, challenge, ceremony, conditional, attachment';

export interface IssueAuthenticationInput {
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
 * $1 rows, $2 their events, $3 getFirstChallengeId, $4 and $5 getFirstRefusalIds, $6 getCountedIdEnd. $3 and later are
 * computed for the first row, because rows that go together are of one moment.
 * No result: the relying party does not exist or is disabled. No expiry: the user is over a limit, and nothing was
 * stored.
 */
export const ISSUE_AUTHENTICATION = createRowsStatement<IssueAuthenticationInput, IssuedAuthentication>({
  name: 'challenge-issue-authentication',
  text: `WITH ${ASYNCHRONOUS},
     asked AS MATERIALIZED (
       SELECT given.*, policy, coalesce(
         (SELECT audit_uid::text FROM user_handle u WHERE u.rp_id = given.rp_id AND u.user_id = given.user_id), audit_stand_in) AS uid
       FROM asynchronous,
         ${rowsWithLineSql(`id uuid, rp_id text, user_id text, purpose text, issued_to text, challenge bytea, now timestamptz, ${AUDIT_COLUMNS}`, 'audit_event')} AS given
         JOIN relying_party USING (rp_id)
       WHERE enabled),
     counted AS MATERIALIZED (
       SELECT *, ${blockingChallengeSql({ ...ASKED, limit: userLimitSql('challengesPerMinute') }, 'authentication', { since: '$3::uuid', until: '$6::uuid' })} AS challenge_in_the_way,
              ${blockingRefusalSql({ ...ASKED, limit: userLimitSql('refusalsPerHalfHour') }, 'asked.user_id', { rest: '$4::uuid', since: '$5::uuid', until: '$6::uuid' })} AS refusal_in_the_way
       FROM asked),
     free AS MATERIALIZED (
       SELECT *, now + make_interval(secs => (policy ->> 'challengeTtlSeconds')::integer) AS expires_at
       FROM counted WHERE challenge_in_the_way IS NULL AND refusal_in_the_way IS NULL),
     issued AS (
       INSERT INTO challenge (${ISSUED_CHALLENGE_COLUMNS}, expires_at)
       SELECT id, rp_id, user_id, purpose, issued_to, challenge, 'authentication', FALSE, NULL, expires_at FROM free),
     ${insertEachEventPartsSql('free', 'free.uid')}
   SELECT counted.ordinality::integer AS n, counted.policy, free.expires_at::timestamptz(3), counted.challenge_in_the_way, counted.refusal_in_the_way,
          ${descriptorsSql("rp_id = counted.rp_id AND user_id = counted.user_id AND status = 'active'")} AS descriptors
   FROM counted LEFT JOIN free USING (ordinality)`,
  record: ({ id, rpId, userId, purpose, issuedTo, challenge, now, event }) => ({
    id,
    rp_id: rpId,
    user_id: userId,
    purpose,
    issued_to: issuedTo,
    challenge: toByteaText(challenge),
    now,
    ...toAuditRecord(event),
  }),
  line: ({ event }) => extractEvent(event),
  shared: ([{ now }]) => [getFirstChallengeId(now), ...getFirstRefusalIds(now), getCountedIdEnd(now)],
});

/**
 * $1 id, $2 RP ID, $3 user id, $4 purpose or null, $5 SPIFFE ID, $6 challenge, $7 expiry, $8 conditional, $9 attachment
 * or null, $10 new user handle, $11 now, $12 challenges per minute, $13 getFirstChallengeId, $14 getCountedIdEnd, $15… audit
 * row.
 * No handle: the user is over the limit, and nothing was stored.
 */
export const ISSUE_REGISTRATION = nameStatement<IssuedRegistration>(
  'challenge-issue-registration',
  `WITH ${ASYNCHRONOUS},
     limited AS (
       SELECT ${blockingChallengeSql({ rpId: '$2', uid: pseudonymSql(15), limit: '$12::integer' }, 'registration', { since: '$13::uuid', until: '$14::uuid' })} AS challenge_in_the_way
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
     ${insertEventPartsSql(15, 'issued, handle', 'handle.audit_uid::text')}
   SELECT challenge_in_the_way, NULL AS refusal_in_the_way, handle FROM limited LEFT JOIN handle ON TRUE`,
);

/** Credential descriptors of a user: the passkeys that are not revoked. */
const LIST_DESCRIPTORS = `SELECT ${descriptorsSql("rp_id = $1 AND user_id = $2 AND status <> 'revoked'")} AS descriptors`;

/** $1 now, $2 the most that it deletes. It skips rows that another replica deletes. */
const DELETE_EXPIRED = `DELETE FROM challenge WHERE id IN (
  SELECT id FROM challenge WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`;

export interface IssueRegistrationInput extends Omit<IssueAuthenticationInput, 'userId'> {
  readonly userId: string;
  readonly expiresAt: Date;
  readonly conditional: boolean;
  readonly attachment: string | undefined;
  /** The handle that the user gets if this is the user's first registration. */
  readonly newHandle: Buffer;
  readonly challengesPerMinute: number;
}

/** Stores, lists and deletes challenges. Concurrent authentication challenges of this process share statements. */
@Injectable()
export class ChallengeRepository {
  readonly issueAuthentication;

  constructor(
    @Inject(CeremonyPool) pool: Pick<CeremonyPool, 'through'>,
    @InjectDataSource() private readonly dataSource: Pick<DataSource, 'query'>,
  ) {
    // One statement counts a user's challenges before it stores one, so two challenges of a user never share a statement.
    this.issueAuthentication = new StatementBatcher(ISSUE_AUTHENTICATION, pool.through, ({ rpId, userId }) =>
      userId === undefined ? undefined : JSON.stringify([rpId, userId]),
    );
  }

  /** @returns the handle of the user, or the events that block the challenge */
  async issueRegistration(input: IssueRegistrationInput): Promise<IssuedRegistration> {
    const { id, rpId, userId, purpose, issuedTo, challenge, expiresAt, conditional, attachment, now } = input;
    const [issued] = await ISSUE_REGISTRATION.run(this.dataSource, [
      ...[id, rpId, userId, purpose ?? null, issuedTo, challenge, expiresAt],
      ...[conditional, attachment ?? null, input.newHandle, now],
      ...[input.challengesPerMinute, getFirstChallengeId(now), getCountedIdEnd(now), ...input.event.values],
    ]);
    return issued!;
  }

  /** Lists the user's passkeys that are not revoked. */
  async listDescriptors(rpId: string, userId: string): Promise<Descriptor[]> {
    const [row] = await this.dataSource.query<[{ descriptors: Descriptor[] | null }]>(LIST_DESCRIPTORS, [rpId, userId]);
    return row.descriptors ?? [];
  }

  /** @returns the number of deleted challenges, at most `limit` */
  async deleteExpired(now: Date, limit: number): Promise<number> {
    const [, deleted] = await this.dataSource.query<[unknown, number]>(DELETE_EXPIRED, [now, limit]);
    return deleted;
  }
}
