import { equalsSql, leafHashSql, typeEqualsSql } from '../audit/audit-event.repository.js';
import { type NamedStatement, nameStatement } from '../database/named-statement.js';
import type { CredentialRow, HandleRow, MissingRow, RelyingPartyRow } from './judge-rows.js';
import { ERASURE_TYPE, FINDING_TYPE, type LoggedChange } from './row-history.js';

/** Number of rows or events of a page. */
export const PAGE_ROWS = 500;
/** The newest events of a row that count. Whoever may rename a passkey can make any number. */
const NEWEST = 32;
/** The most pending events that a page reads. There are more only if the log stands still, or somebody makes them. */
export const MOST_PENDING = 10_000;

/** The types of events that make or change a credential. */
export const CREDENTIAL_CHANGES = [
  'credential.register',
  'credential.rename',
  'credential.suspend',
  'credential.reinstate',
  'credential.revoke',
] as const;
/** The type of the events that make a credential of another service. They have a version, which TELLS finds them by. */
export const IMPORT_TYPE = 'credential.import';
/** The types of events that make or change a relying party. */
export const RELYING_PARTY_CHANGES = ['relying-party.create', 'relying-party.update', 'relying-party.seal'] as const;

const list = (types: readonly string[]): string => types.map((type) => `'${type}'`).join(', ');

/**
 * SQL: the event says what a row must be. The index `audit_event_state` has these events alone. An authentication is one
 * if it changed the credential; JSON escapes the quotation marks in text from callers, so the name is that of a member.
 */
const TELLS = `(outcome = 'success' AND (type IN (${list([...CREDENTIAL_CHANGES, ERASURE_TYPE, ...RELYING_PARTY_CHANGES])})
    OR strpos(event, '"credential_version":') > 0) OR type = '${FINDING_TYPE}')`;
/** SQL: the row that the event is about: the id of a credential, the pseudonym of a user or the RP ID. */
const SUBJECT = 'coalesce(credential_uid::text, user_id, rp_id)';

const NUMBER = (member: string): string => `substring(event FROM '"${member}":([0-9]{1,9})[,}]')::integer`;

/** SQL: an event as a LoggedChange. */
const CHANGE = `json_build_object('id', id, 'type', type, 'user', user_id,
    'leaf', leaf_index,
    'version', CASE WHEN type LIKE 'relying-party.%' THEN ${NUMBER('version')} ELSE ${NUMBER('credential_version')} END,
    'status', CASE WHEN type = '${IMPORT_TYPE}' THEN substring(event FROM '"status":"(active|suspended|revoked)"') END,
    'found', CASE WHEN type = '${FINDING_TYPE}' THEN substring(event FROM '"found":"([^"\\\\]*)"') END)`;

/** SQL: the events that tell of a subject and have a place in the log. Nobody without a key of the service makes one. */
function toldSql(subject: string): string {
  return `SELECT * FROM audit_event
        CROSS JOIN LATERAL (SELECT leaf_index FROM audit_leaf WHERE event_id = audit_event.id OFFSET 0) AS place
      WHERE ${TELLS} AND ${equalsSql(SUBJECT, subject)}`;
}

/**
 * SQL: the pending events that tell of a row, with what their MACs cover. It begins at `audit_pending`, which has the events
 * of about a second: the index of a subject does not say which of its events are pending.
 */
const PENDING = `SELECT ${SUBJECT} AS subject, ${CHANGE} AS change, encode(hash, 'hex') AS hash, encode(mac, 'hex') AS mac
     FROM (SELECT event_id, leaf_hash AS hash, mac FROM audit_pending LIMIT ${String(MOST_PENDING)}) AS waiting
       CROSS JOIN LATERAL (SELECT * FROM audit_event WHERE id = event_id OFFSET 0) AS told
       LEFT JOIN LATERAL (SELECT leaf_index FROM audit_leaf WHERE event_id = id OFFSET 0) AS place ON TRUE
    WHERE ${TELLS} AND leaf_index IS NULL AND hash = ${leafHashSql('event')}`;

/** SQL: the newest events about a subject, as a JSON array. */
function changesSql(subject: string): string {
  return `ARRAY(SELECT ${CHANGE} FROM (${toldSql(subject)} ORDER BY id DESC LIMIT ${String(NEWEST)}) AS newest)`;
}

/** SQL: the erasures of a user, as a JSON array. No pseudonym: none. */
function erasuresSql(pseudonym: string): string {
  return `ARRAY(SELECT ${CHANGE} FROM (${toldSql(pseudonym)} AND type = '${ERASURE_TYPE}' LIMIT 1) AS erasure)`;
}

/** A row with what the log says about it. */
export interface HeldRow<Row> {
  readonly row: Row;
  readonly changes: readonly LoggedChange[];
}

/** A pending event that tells of a row. */
export interface PendingChange {
  /** The id of a credential, the pseudonym of a user or the RP ID. */
  readonly subject: string;
  readonly change: LoggedChange;
  /** The leaf hash that was written with the event, which is that of its text, in hexadecimal digits. */
  readonly hash: string;
  readonly mac: string | null;
}

/** The pending events of the same moment as the rows. */
export interface PendingPart {
  /** The number of events that are pending, those that tell of no row included, up to one more than a page reads. */
  readonly waiting: number;
  readonly pending: readonly PendingChange[];
}

/** Rows, each with the events that tell of it and have their places. */
export interface HeldRows<Row> extends PendingPart {
  readonly held: readonly HeldRow<Row>[];
}

/** A part of a table or of the log. */
export interface HeldPage<Row> extends HeldRows<Row> {
  /** Where the next page begins; null if this is the last one. */
  readonly next: string | null;
  /** Number of rows or events that were read. */
  readonly walked: number;
  /** The end of the newest archived month, the smallest id after it; null if no month is archived. */
  readonly archived_until: string | null;
}

/** SQL: the members of HeldRows. All are of one row, so that rows and events are of one snapshot. */
const HELD = `(SELECT coalesce(json_agg(held), '[]') FROM held) AS held,
          (SELECT count(*)::integer FROM (SELECT FROM audit_pending LIMIT ${String(MOST_PENDING + 1)}) AS few) AS waiting,
          (SELECT coalesce(json_agg(pending), '[]') FROM (${PENDING}) AS pending) AS pending`;

/** SQL: the page with the rows of `held`. */
function pageSql(page: string, cursor: string, held: string): string {
  return `WITH page AS MATERIALIZED (${page}), held AS MATERIALIZED (${held})
   SELECT (SELECT ${cursor}::text FROM page ORDER BY ${cursor} OFFSET $2::integer - 1) AS next,
          (SELECT count(*)::integer FROM page) AS walked,
          (SELECT upper_id FROM audit_archive ORDER BY upper_id DESC LIMIT 1) AS archived_until,
          ${HELD}`;
}

/** $1: the page begins after this id; $2: number of rows */
export const CREDENTIAL_PAGE = nameStatement<HeldPage<CredentialRow>>(
  'reconcile-credentials',
  pageSql(
    `SELECT id, rp_id, user_id, credential_id, version, status FROM credential WHERE id > $1::uuid ORDER BY id LIMIT $2::integer`,
    'id',
    `SELECT json_build_object('id', page.id, 'rpId', page.rp_id, 'userId', page.user_id, 'version', page.version,
              'credentialId', translate(rtrim(encode(page.credential_id, 'base64'), '='), E'+/\\n', '-_'),
              'status', page.status, 'uid', uid) AS row,
            told || ${erasuresSql(`coalesce(told[1] ->> 'user', uid)`)} AS changes
       FROM page
       LEFT JOIN LATERAL (SELECT audit_uid::text AS uid FROM user_handle u
                           WHERE u.rp_id = page.rp_id AND u.user_id = page.user_id) AS handle ON TRUE
       CROSS JOIN LATERAL (SELECT ${changesSql('page.id::text')} AS told OFFSET 0) AS log`,
  ),
);

/** $1: the page begins after this pseudonym; $2: number of rows */
export const HANDLE_PAGE = nameStatement<HeldPage<HandleRow>>(
  'reconcile-handles',
  pageSql(
    `SELECT audit_uid, rp_id, user_id FROM user_handle WHERE audit_uid > $1::uuid ORDER BY audit_uid LIMIT $2::integer`,
    'audit_uid',
    `SELECT json_build_object('uid', page.audit_uid, 'rpId', page.rp_id, 'userId', page.user_id) AS row,
            ${changesSql('page.audit_uid::text')} AS changes
       FROM page`,
  ),
);

/** $1: the page begins after this RP ID; $2: number of rows */
export const RELYING_PARTY_PAGE = nameStatement<HeldPage<RelyingPartyRow>>(
  'reconcile-relying-parties',
  pageSql(
    `SELECT rp_id, version, created_at FROM relying_party WHERE rp_id > $1::text ORDER BY rp_id LIMIT $2::integer`,
    'rp_id',
    `SELECT json_build_object('rpId', page.rp_id, 'version', page.version,
              'createdAt', floor(extract(epoch FROM page.created_at) * 1000)) AS row,
            ${changesSql('page.rp_id')} AS changes
       FROM page`,
  ),
);

/** $1: the page begins after this id; $2: number of rows. The log is not asked: a request for approval ends soon. */
export const APPROVAL_PAGE = nameStatement<HeldPage<{ readonly id: string }>>(
  'reconcile-approvals',
  pageSql(
    'SELECT id FROM approval WHERE id > $1::uuid ORDER BY id LIMIT $2::integer',
    'id',
    `SELECT json_build_object('id', page.id) AS row, ARRAY[]::json[] AS changes FROM page`,
  ),
);

type LoggedTable = MissingRow['table'];

/** SQL: the subject has its row; `uid` is the id of a credential. `OFFSET 0` keeps PostgreSQL from reading the whole table to compare it with the page. */
const IS_THERE: Readonly<Record<LoggedTable, string>> = {
  credential: 'SELECT FROM credential c WHERE c.id = uid OFFSET 0',
  relying_party: 'SELECT FROM relying_party p WHERE p.rp_id = subject OFFSET 0',
};

/** SQL: the rows of a source that are not there, each with its events and the erasure of its user. */
function missingSql(table: LoggedTable, source: string): string {
  const row = `'table', '${table}', 'subject', subject, 'rpId', rp_id, 'credentialId', credential_id, 'event', id`;
  return `SELECT json_build_object(${row}) AS row,
            ${changesSql('missing.subject')} || ${erasuresSql('missing.user_id')} AS changes
       FROM (SELECT * FROM ${source} WHERE NOT EXISTS (${IS_THERE[table]})) AS missing`;
}

export type LogPage = NamedStatement<HeldPage<MissingRow>>;

/**
 * Reads events of one type by their ids, and keeps those whose row is not there.
 *
 * $1: the page begins after this id; $2: number of events
 */
function logPage(table: LoggedTable, type: string): LogPage {
  return nameStatement(
    `reconcile-${type}`,
    pageSql(
      `SELECT id, ${SUBJECT} AS subject, credential_uid AS uid, rp_id, user_id, credential_id FROM audit_event
        WHERE ${typeEqualsSql('type', `'${type}'`)} AND outcome = 'success' AND id > $1::uuid ORDER BY id LIMIT $2::integer`,
      'id',
      missingSql(table, 'page'),
    ),
  );
}

/** By the type of their events. */
export const LOG_PAGES: readonly (readonly [type: string, page: LogPage])[] = [
  ...[...CREDENTIAL_CHANGES, IMPORT_TYPE].map((type) => [type, logPage('credential', type)] as const),
  ...RELYING_PARTY_CHANGES.map((type) => [type, logPage('relying_party', type)] as const),
];

/**
 * Finds which of the given rows are not there.
 *
 * $1: subjects; $2: for each the event that tells of it, $3: the RP ID, $4: the user's pseudonym
 */
function missingAmong(table: LoggedTable): NamedStatement<HeldRows<MissingRow>> {
  const uid = table === 'credential' ? 'subject::uuid' : 'NULL::uuid';
  const given = `(SELECT subject, ${uid} AS uid, id, rp_id, user_id, NULL::text AS credential_id
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) AS t (subject, id, rp_id, user_id)) AS given`;
  return nameStatement(
    `reconcile-missing-${table}`,
    `WITH held AS MATERIALIZED (${missingSql(table, given)}) SELECT ${HELD}`,
  );
}

export const MISSING_AMONG: Readonly<Record<LoggedTable, NamedStatement<HeldRows<MissingRow>>>> = {
  credential: missingAmong('credential'),
  relying_party: missingAmong('relying_party'),
};
