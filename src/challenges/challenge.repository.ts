/**
 * The SQL of issuing. Nothing is written for a challenge: the caller carries it, sealed (challenge-seal.ts). An
 * authentication is at most three statements, of which one writes:
 *
 * 1. READ_FOR_AUTHENTICATION reads the data for the options, and the refusals that block the user. A challenge for any
 *    user needs no statement.
 * 2. LOAD (src/credentials/loaded-answer.repository.ts) reads everything that the answer is checked against.
 * 3. ACCEPT_AUTHENTICATION or REFUSE spends the challenge, changes the credential and records the event. Of any number of
 *    answers to one challenge, exactly one has an outcome.
 *
 * A registration is READ_FOR_REGISTRATION, which makes the handle of a new user, and ACCEPT_REGISTRATION or REFUSE.
 *
 * Each statement works on many ceremonies at once (src/database/statement-batcher.ts). It takes locks in one order, so
 * overlapping statements do not deadlock.
 *
 * Several indexes of the credential table begin with the relying party, and on a new table PostgreSQL cannot tell which
 * one to use. So a statement finds a credential by its id alone, behind OFFSET 0, and then checks the other conditions.
 *
 * The SQL of the limits is in user-limits.repository.ts. docs/sql shows every statement as PostgreSQL gets it.
 */
import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { SealedUser } from '../audit/sealed-user.js';
import { StatementBatcher } from '../database/statement-batcher.js';
import { CeremonyPool } from '../database/ceremony-pool.js';
import { ASYNCHRONOUS } from '../database/named-statement.js';
import { createRowsStatement, rowsSql, toByteaText } from '../database/rows-statement.js';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';
import { userLimitSql } from '../relying-parties/relying-party.repository.js';
import type { ReadDescriptor } from './descriptors.js';
import { blockingRefusalSql, getCountedIdEnd, getFirstRefusalIds } from './user-limits.repository.js';

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

export interface ReadForAuthenticationInput {
  readonly rpId: string;
  readonly userId: string;
  /** Represents the user in the audit log if it is not a user of the relying party. */
  readonly standIn: string;
  readonly now: Date;
}

interface ReadForAuthentication {
  /** The seal of the relying party, which says whose settings apply (RelyingPartyCopies). */
  readonly party_seal: Buffer | null;
  /** null: the relying party has no such user, like the two members below. */
  readonly handle: Buffer | null;
  /** The user's pseudonym in the audit log. */
  readonly audit_uid: string | null;
  readonly user_seal: Buffer | null;
  readonly descriptors: ReadDescriptor[] | null;
  /** Id of the last of the refusals that block the user; null: the user is not blocked. */
  readonly refusal_in_the_way: string | null;
}

/**
 * $1 rows, $2 and $3 getFirstRefusalIds, $4 getCountedIdEnd. $2 and later are computed for the first row, because rows
 * that go together are of one moment. No result: the relying party does not exist or is disabled.
 */
export const READ_FOR_AUTHENTICATION = createRowsStatement<ReadForAuthenticationInput, ReadForAuthentication>({
  name: 'challenge-read-authentication',
  text: `WITH asked AS MATERIALIZED (
       SELECT given.*, p.policy, p.seal AS party_seal, handle, audit_uid, u.seal AS user_seal, coalesce(audit_uid::text, stand_in) AS uid
       FROM ${rowsSql('rp_id text, user_id text, stand_in text')} AS given JOIN relying_party p USING (rp_id)
         LEFT JOIN user_handle u USING (rp_id, user_id)
       WHERE enabled)
   SELECT ordinality::integer AS n, party_seal, handle, audit_uid, user_seal,
          ${blockingRefusalSql({ rpId: 'asked.rp_id', uid: 'asked.uid', limit: userLimitSql('refusalsPerHalfHour') }, 'asked.user_id', { rest: '$2::uuid', since: '$3::uuid', until: '$4::uuid' })} AS refusal_in_the_way,
          ${descriptorsSql("rp_id = asked.rp_id AND user_id = asked.user_id AND status = 'active'")} AS descriptors
   FROM asked`,
  record: ({ rpId, userId, standIn }) => ({ rp_id: rpId, user_id: userId, stand_in: standIn }),
  shared: ([{ now }]) => [...getFirstRefusalIds(now), getCountedIdEnd(now)],
});

export interface ReadForRegistrationInput {
  readonly rpId: string;
  readonly userId: string;
  /** The handle, the pseudonym and the seal that the user gets if this is the user's first registration. */
  readonly newUser: Pick<SealedUser, 'handle' | 'auditUid' | 'seal'>;
  readonly now: Date;
}

interface ReadForRegistration {
  /** As in ReadForAuthentication. */
  readonly party_seal: Buffer | null;
  readonly handle: Buffer;
  /** The user's pseudonym in the audit log. */
  readonly audit_uid: string;
  readonly user_seal: Buffer | null;
  /** How often all passkeys of the user were revoked. */
  readonly revocations: number;
  /** The user's passkeys that are not revoked. */
  readonly descriptors: ReadDescriptor[] | null;
}

/**
 * Writes only for a new user, and commits that asynchronously: if a crash loses the handle, the registration fails and
 * the user begins again. No result: the relying party does not exist or is disabled.
 */
export const READ_FOR_REGISTRATION = createRowsStatement<ReadForRegistrationInput, ReadForRegistration>({
  name: 'challenge-read-registration',
  text: `WITH ${ASYNCHRONOUS},
     asked AS MATERIALIZED (
       SELECT given.*, seal AS party_seal
       FROM asynchronous, ${rowsSql('rp_id text, user_id text, new_handle bytea, new_uid uuid, new_seal bytea, now timestamptz')} AS given
         JOIN relying_party USING (rp_id)
       WHERE enabled),
     known AS MATERIALIZED (
       SELECT ordinality, u.handle, u.audit_uid, u.seal, u.revocations FROM asked JOIN user_handle u ON u.rp_id = asked.rp_id AND u.user_id = asked.user_id),
     made AS (
       INSERT INTO user_handle (rp_id, user_id, handle, created_at, audit_uid, seal)
       SELECT rp_id, user_id, new_handle, now, new_uid, new_seal FROM asked
       WHERE ordinality NOT IN (SELECT ordinality FROM known) ORDER BY rp_id, user_id
       ON CONFLICT (rp_id, user_id) DO UPDATE SET handle = user_handle.handle
       RETURNING rp_id, user_id, handle, audit_uid, seal, revocations)
   SELECT asked.ordinality::integer AS n, party_seal, coalesce(known.handle, made.handle) AS handle,
          coalesce(known.audit_uid, made.audit_uid) AS audit_uid, coalesce(known.seal, made.seal) AS user_seal,
          coalesce(known.revocations, made.revocations, 0) AS revocations,
          ${descriptorsSql("rp_id = asked.rp_id AND user_id = asked.user_id AND status <> 'revoked'")} AS descriptors
   FROM asked LEFT JOIN known USING (ordinality)
     LEFT JOIN made ON made.rp_id = asked.rp_id AND made.user_id = asked.user_id`,
  record: ({ rpId, userId, newUser: { handle, auditUid, seal }, now }) => ({
    rp_id: rpId,
    user_id: userId,
    new_handle: toByteaText(handle),
    new_uid: auditUid,
    new_seal: seal && toByteaText(seal),
    now,
  }),
});

/**
 * $1 now, $2 the most that it deletes. It skips rows that another replica deletes. Replicas of the previous version
 * store challenges, and leave these behind.
 */
const DELETE_EXPIRED = `DELETE FROM challenge WHERE id IN (
  SELECT id FROM challenge WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`;

/** Reads what the options of a challenge need. Concurrent requests of this process share statements. */
@Injectable()
export class ChallengeRepository {
  readonly readForAuthentication;
  readonly readForRegistration;

  constructor(
    @Inject(CeremonyPool) pool: Pick<CeremonyPool, 'through' | 'metrics'>,
    @InjectDataSource() private readonly dataSource: Pick<DataSource, 'query'>,
  ) {
    this.readForAuthentication = new StatementBatcher(READ_FOR_AUTHENTICATION, pool, () => []);
    // A statement makes the handle of a user at most once.
    this.readForRegistration = new StatementBatcher(READ_FOR_REGISTRATION, pool, ({ rpId, userId }) => [
      JSON.stringify([rpId, userId]),
    ]);
  }

  /** @returns the number of deleted challenges, at most `limit` */
  async deleteExpired(now: Date, limit: number): Promise<number> {
    const [, deleted] = await this.dataSource.query<[unknown, number]>(DELETE_EXPIRED, [now, limit]);
    return deleted;
  }
}
