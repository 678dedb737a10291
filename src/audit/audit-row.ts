import { v7 as uuidv7 } from 'uuid';
import type { RequestContext } from '../identity/request-context.js';
import type { AuditEntry } from './audit-entry.js';
import { toCanonical } from './log/canonical-json.js';
import { toOcsf } from './ocsf.js';
import { redactUserId } from './redact-user-id.js';

/** An event on its way into the log. */
export interface AuditRow {
  readonly id: string;
  readonly entry: AuditEntry;
  /** In the order of AUDIT_PARAMETERS. */
  readonly values: readonly unknown[];
}

const AUDIT_PARAMETERS = [
  ['id', 'uuid'],
  ['event', 'text'],
  ['type', 'text'],
  ['outcome', 'text'],
  ['actor', 'text'],
  ['rp_id', 'text'],
  ['user_id', 'text'],
  ['credential_uid', 'uuid'],
  ['credential_id', 'text'],
  ['stand_in', 'text'],
] as const;

type AuditParameter = (typeof AUDIT_PARAMETERS)[number][0];

/** How many parameters a row takes. */
export const AUDIT_ROW_WIDTH = AUDIT_PARAMETERS.length;

/** SQL: a parameter of a row whose first one has this number. */
export function auditParameter(firstParameter: number, name: AuditParameter): string {
  const index = AUDIT_PARAMETERS.findIndex(([parameter]) => parameter === name);
  return `$${String(firstParameter + index)}::${AUDIT_PARAMETERS[index]![1]}`;
}

const EVENT = 1;
const AUDIT_MEMBERS = AUDIT_PARAMETERS.map(([name]) => `audit_${name}`);

/** SQL: the columns that a row takes in a record set, `audit_id uuid, …`, but for the event, which is a text beside it. */
export const AUDIT_COLUMNS = AUDIT_PARAMETERS.filter((_, index) => index !== EVENT)
  .map(([name, type]) => `audit_${name} ${type}`)
  .join(', ');

/** A row as members of a record, for statements that take many rows at once. */
export function auditRecord({ values }: AuditRow): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const [index, member] of AUDIT_MEMBERS.entries()) if (index !== EVENT) record[member] = values[index];
  return record;
}

/** The event: canonical JSON, of one line. */
export function auditEvent({ values }: AuditRow): string {
  return values[EVENT] as string;
}

/**
 * SQL: by what the log knows the user of a row: `user_handle.audit_uid`, which is random and gone when the user is
 * erased, and for one who is no user of the relying party the stand-in.
 */
export function auditUid(firstParameter: number): string {
  const [rpId, userId, standIn] = (['rp_id', 'user_id', 'stand_in'] as const).map((name) =>
    auditParameter(firstParameter, name),
  ) as [string, string, string];
  const known = `SELECT audit_uid::text FROM user_handle WHERE rp_id = ${rpId} AND user_id = ${userId}`;
  return `coalesce((${known}), ${standIn})`;
}

/** SQL: an event waits for its place in the log from the moment it is written. */
const WAIT = 'INSERT INTO audit_pending (event_id, leaf_hash) SELECT id, leaf_hash FROM recorded';

/**
 * The statement that writes one event; its result is the event's id.
 *
 * @param firstParameter number of the row's first parameter
 * @param source SQL, of one row when the event is to be written, and of none when it is not
 */
export function auditStatement(firstParameter: number, source = '(SELECT) AS always'): string {
  return `WITH recorded AS (${insertOne(firstParameter, source)}) ${WAIT} RETURNING event_id AS id`;
}

/**
 * Parts of a WITH that write one event: a change and its record are one statement.
 *
 * @param uid SQL: the name by which the log knows the user
 */
export function auditParts(firstParameter: number, source: string, uid: string): string {
  const known = `CASE WHEN ${auditParameter(firstParameter, 'user_id')} IS NOT NULL THEN ${uid} END`;
  return partsOf(insertOne(firstParameter, source, known));
}

/**
 * The same for each row of a record set.
 *
 * @param source SQL, with AUDIT_COLUMNS
 */
export function auditPartsEach(source: string, uid: string): string {
  return partsOf(insertOf((name) => `audit_${name}`, source, uid));
}

function partsOf(insert: string): string {
  return `recorded AS (${insert}), waiting AS (${WAIT})`;
}

function insertOne(firstParameter: number, source: string, uid = auditUid(firstParameter)): string {
  return insertOf((name) => auditParameter(firstParameter, name), source, uid);
}

/**
 * In members whose name ends in `uid`, the name by which the log knows the user replaces the stand-in. It touches no text of a
 * caller: JSON escapes the quotation marks in it. The result is hashed (RFC 6962 §2.1). `OFFSET 0` keeps PostgreSQL from
 * computing either again wherever it is used.
 */
function insertOf(value: (name: AuditParameter) => string, source: string, uid: string): string {
  const member = (name: string): string => `'uid":"' || ${name} || '"'`;
  const replaced = `replace(${value('event')}, ${member(value('stand_in'))}, ${member('subject.uid')})`;
  const named = `coalesce(${replaced}, ${value('event')})`;
  const columns: Record<string, string> = {
    id: value('id'),
    event: 'written.event',
    leaf_hash: `sha256('\\x00'::bytea || convert_to(written.event, 'UTF8'))`,
    ...Object.fromEntries((['type', 'outcome', 'actor', 'rp_id'] as const).map((name) => [name, value(name)])),
    user_id: 'subject.uid',
    credential_uid: value('credential_uid'),
    credential_id: value('credential_id'),
  };
  return `INSERT INTO audit_event (${Object.keys(columns).join(', ')})
    SELECT ${Object.values(columns).join(', ')}
    FROM ${source}
      CROSS JOIN LATERAL (SELECT ${uid} AS uid OFFSET 0) AS subject
      CROSS JOIN LATERAL (SELECT ${named} AS event OFFSET 0) AS written
    RETURNING id, leaf_hash`;
}

/** @param standIn what stands for the user in the event until it is written, and for who is no user also then */
export function auditRow(entry: AuditEntry, context: RequestContext | null, time: Date, standIn?: string): AuditRow {
  const id = uuidv7({ msecs: time.getTime() });
  const event = toCanonical(toOcsf({ ...redactUserId(entry), userId: standIn }, { id, time, context }));
  const { rpId, userId, credential } = entry;
  const values = [
    ...[id, event, entry.type, entry.outcome, context?.caller?.spiffeId ?? null, rpId ?? null, userId ?? null],
    ...[credential?.id ?? null, credential?.credentialId ?? null, standIn ?? null],
  ];
  return { id, entry, values };
}
