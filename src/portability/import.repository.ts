import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import {
  AUDIT_COLUMNS,
  type AuditRow,
  extractEvent,
  insertEachEventPartsSql,
  toAuditRecord,
} from '../audit/audit-event.repository.js';
import type { SealedUser } from '../audit/sealed-user.js';
import {
  CREDENTIAL_COLUMNS,
  CREDENTIAL_LIST,
  CREDENTIAL_RECORD,
  type CredentialEntity,
  listCredentialColumns,
  toCredentialRecord,
} from '../credentials/credential.entity.js';
import type { LoadedAnswer } from '../credentials/loaded-answer.repository.js';
import { InFlightLimit } from '../database/in-flight-limit.js';
import { createRowsStatement, rowsSql, rowsWithLineSql, toByteaText } from '../database/rows-statement.js';
import { StatementBatcher } from '../database/statement-batcher.js';
import { Metrics } from '../telemetry/metrics.js';
import type { CredentialLine } from './credential-line.js';

/** What the database knows of a line. */
export interface FoundForLine extends LoadedAnswer {
  /** The user with this handle, where it is another one; null: none. */
  readonly handle_owner: string | null;
  /** True if another credential, of any relying party, has the id of the line. */
  readonly id_taken: boolean;
  /** The user's passkeys that are not revoked. */
  readonly held: number;
}

interface FindInput {
  readonly rpId: string;
  readonly line: Pick<CredentialLine, 'credentialId' | 'userId' | 'userHandle' | 'id'>;
}

/** SQL: the user with a handle, be it the user's own or that of one passkey, who is not this one. */
const handleOwnerSql = (rpId: string, userId: string, handle: string): string =>
  `(SELECT user_id FROM (
      SELECT rp_id, user_id FROM (SELECT rp_id, user_id FROM user_handle WHERE handle = ${handle} OFFSET 0) AS of_users
      UNION ALL
      SELECT rp_id, user_id FROM (SELECT rp_id, user_id FROM credential WHERE user_handle = ${handle} AND user_handle <> '' OFFSET 0) AS of_passkeys) AS holders
     WHERE rp_id = ${rpId} AND user_id <> ${userId} LIMIT 1)`;

const FIND = createRowsStatement<FindInput, FoundForLine>({
  name: 'import-find',
  text: `SELECT a.ordinality::integer AS n, NULL::bytea AS party_seal, h.handle, h.audit_uid, h.seal AS user_seal,
          ${Object.values(CREDENTIAL_COLUMNS)
            .map((column) => `c.${column} AS c_${column}`)
            .join(', ')},
          CASE WHEN a.line_handle IS NOT NULL THEN ${handleOwnerSql('a.rp_id', 'a.user_id', 'a.line_handle')} END AS handle_owner,
          a.line_id IS NOT NULL AND EXISTS (SELECT FROM (SELECT rp_id, credential_id FROM credential WHERE id = a.line_id OFFSET 0) AS same
            WHERE (same.rp_id, same.credential_id) <> (a.rp_id, a.line_credential)) AS id_taken,
          (SELECT count(*)::integer FROM (SELECT rp_id, status FROM credential WHERE user_id = a.user_id OFFSET 0) AS own
            WHERE own.rp_id = a.rp_id AND own.status <> 'revoked') AS held
   FROM ${rowsSql('rp_id text, user_id text, line_credential bytea, line_handle bytea, line_id uuid')} AS a
     LEFT JOIN LATERAL (
       SELECT * FROM (SELECT * FROM credential WHERE credential_id = a.line_credential OFFSET 0) AS found
        WHERE rp_id = a.rp_id LIMIT 1) AS c ON TRUE
     LEFT JOIN LATERAL (
       SELECT * FROM user_handle WHERE rp_id = a.rp_id AND user_id = a.user_id LIMIT 1) AS h ON TRUE`,
  record: ({ rpId, line: { credentialId, userId, userHandle, id } }) => ({
    rp_id: rpId,
    user_id: userId,
    line_credential: toByteaText(credentialId),
    line_handle: userHandle && toByteaText(userHandle),
    line_id: id,
  }),
});

export interface StoreInput {
  readonly credential: CredentialEntity;
  /** The user handle of the line; null: not known. */
  readonly lineHandle: Buffer | null;
  /** The user's pseudonym. */
  readonly uid: string;
  /** The row of the user, if there was none; undefined: there is one with this pseudonym. */
  readonly newUser: SealedUser | undefined;
  /** The version of the relying party whose policy applies. */
  readonly version: number;
  /** The most passkeys that the user may have, this one included; `Infinity` for a revoked one. */
  readonly most: number;
  readonly now: Date;
  readonly event: AuditRow;
}

/** The largest integer of PostgreSQL. */
const NO_LIMIT = 2_147_483_647;

/**
 * Stores imported credentials, the users that they need and the events. No result: something is not as FIND has found it, and
 * nothing was stored. It locks users first and inserts credentials then, as a registration does.
 */
export const STORE_IMPORTED = createRowsStatement<StoreInput, { readonly stored: true }>({
  name: 'import-store',
  text: `WITH given AS MATERIALIZED (
       SELECT * FROM ${rowsWithLineSql(`line_handle bytea, told_uid uuid, new_handle bytea, new_seal bytea, party_version integer, most integer, now timestamptz, ${CREDENTIAL_RECORD}, ${AUDIT_COLUMNS}`, 'audit_event')} AS given
       ORDER BY rp_id, user_id),
     locked AS MATERIALIZED (
       SELECT given.* FROM given,
         LATERAL (SELECT audit_uid FROM user_handle u WHERE u.rp_id = given.rp_id AND u.user_id = given.user_id FOR UPDATE OFFSET 0) AS u
       WHERE new_handle IS NULL AND audit_uid = told_uid),
     made AS (
       INSERT INTO user_handle (rp_id, user_id, handle, created_at, audit_uid, seal)
       SELECT rp_id, user_id, new_handle, now, told_uid, new_seal FROM given
        WHERE new_handle IS NOT NULL
          AND NOT EXISTS (SELECT FROM (SELECT rp_id FROM credential c WHERE c.credential_id = given.credential_id OFFSET 0) AS found WHERE found.rp_id = given.rp_id)
          AND (line_handle IS NULL OR ${handleOwnerSql('given.rp_id', 'given.user_id', 'line_handle')} IS NULL)
          AND EXISTS (SELECT FROM relying_party p WHERE p.rp_id = given.rp_id AND p.version = party_version AND p.enabled)
        ORDER BY rp_id, user_id
       ON CONFLICT DO NOTHING RETURNING audit_uid),
     checked AS MATERIALIZED (
       SELECT * FROM locked AS given
        WHERE count_credentials(rp_id, user_id) < most
          AND (line_handle IS NULL OR ${handleOwnerSql('given.rp_id', 'given.user_id', 'line_handle')} IS NULL)
          AND EXISTS (SELECT FROM relying_party p WHERE p.rp_id = given.rp_id AND p.version = party_version AND p.enabled)
       UNION ALL
       SELECT given.* FROM given JOIN made ON audit_uid = told_uid),
     stored AS (
       INSERT INTO credential (${CREDENTIAL_LIST})
       SELECT ${listCredentialColumns('checked')} FROM checked ORDER BY credential_id
       ON CONFLICT DO NOTHING RETURNING id),
     ${insertEachEventPartsSql('(SELECT checked.* FROM checked JOIN stored USING (id)) AS event')}
   SELECT ordinality::integer AS n, TRUE AS stored FROM checked JOIN stored USING (id)`,
  record: ({ credential, lineHandle, uid, newUser, version, most, now, event }) => ({
    line_handle: lineHandle && toByteaText(lineHandle),
    told_uid: uid,
    new_handle: newUser && toByteaText(newUser.handle),
    new_seal: newUser?.seal && toByteaText(newUser.seal),
    party_version: version,
    most: Math.min(most, NO_LIMIT),
    now,
    ...toCredentialRecord(credential),
    ...toAuditRecord(event),
  }),
  line: ({ event }) => extractEvent(event),
});

/** Finds what there is of the lines of an import, and stores what they say. */
@Injectable()
export class ImportRepository {
  private readonly stores;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    metrics: Metrics,
  ) {
    // One statement at a time, so that sign-ins have the rest of the database. Its rows run apart if they could be in each other's way.
    this.stores = new StatementBatcher(
      STORE_IMPORTED,
      { through: dataSource, metrics },
      ({ credential: { userId, credentialId, id }, lineHandle }) => [
        JSON.stringify(userId),
        credentialId.toString('base64'),
        id,
        ...(lineHandle ? [`handle ${lineHandle.toString('base64')}`] : []),
      ],
      undefined,
      new InFlightLimit(1),
    );
  }

  async find(rpId: string, lines: readonly FindInput['line'][]): Promise<FoundForLine[]> {
    const found = await FIND.run(
      this.dataSource,
      lines.map((line) => ({ rpId, line })),
    );
    return found as FoundForLine[];
  }

  /** @returns false: something is not as it was found */
  async store(input: StoreInput): Promise<boolean> {
    return (await this.stores.run(input)) !== undefined;
  }
}
