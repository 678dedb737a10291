import { makeUuidv7 } from '../config/random.js';
import { nameStatement } from '../database/named-statement.js';
import { toByteaText } from '../database/rows-statement.js';
import type { RequestContext } from '../http/request-context.js';
import type { AuditEntry } from './audit-entry.js';
import { toCanonical } from '../tlog/canonical-json.js';
import { hashLeaf } from '../tlog/merkle.js';
import { toOcsf } from './ocsf.js';
import { redactUserId } from './redact-user-id.js';

/** An event that is ready to be inserted. */
export interface AuditRow {
  readonly id: string;
  readonly entry: AuditEntry;
  /** Values of the parameters, in the order of AUDIT_PARAMETERS. */
  readonly values: readonly unknown[];
}

const AUDIT_PARAMETERS = [
  ['id', 'uuid'],
  ['event', 'text'],
  ['leaf_hash', 'bytea'],
  ['mac', 'bytea'],
  ['type', 'text'],
  ['outcome', 'text'],
  ['actor', 'text'],
  ['rp_id', 'text'],
  ['user_id', 'text'],
  ['credential_uid', 'uuid'],
  ['credential_id', 'text'],
] as const;

type AuditParameter = (typeof AUDIT_PARAMETERS)[number][0];

/** Number of parameters of a row. */
export const AUDIT_ROW_WIDTH = AUDIT_PARAMETERS.length;

/** SQL: one typed parameter of the row whose first parameter has this number. */
export function auditParameterSql(firstParameter: number, name: AuditParameter): string {
  const index = AUDIT_PARAMETERS.findIndex(([parameter]) => parameter === name);
  return `$${String(firstParameter + index)}::${AUDIT_PARAMETERS[index]![1]}`;
}

const [EVENT, LEAF_HASH, MAC] = [1, 2, 3];
const AUDIT_MEMBERS = AUDIT_PARAMETERS.map(([name]) => `audit_${name}`);

/**
 * SQL: the columns of a row in a record set, `audit_id uuid, …`. The event is not among them: it is passed as text
 * beside the set.
 */
export const AUDIT_COLUMNS = AUDIT_PARAMETERS.filter((_, index) => index !== EVENT)
  .map(([name, type]) => `audit_${name} ${type}`)
  .join(', ');

/** Turns a row into a record without its event, for statements that take many rows at once. */
export function toAuditRecord({ values }: AuditRow): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const [index, member] of AUDIT_MEMBERS.entries()) {
    const value = values[index];
    if (index !== EVENT) record[member] = Buffer.isBuffer(value) ? toByteaText(value) : value;
  }
  return record;
}

/** Returns the event as canonical JSON on one line. */
export function extractEvent({ values }: AuditRow): string {
  return values[EVENT] as string;
}

/**
 * SQL: true if a column of `audit_event` has a value. The indexes hold the hash of the value, so that their entries are
 * short. The second comparison tells values apart that have the same hash.
 *
 * @param hash SQL function that the index of the column hashes by
 */
export function equalsSql(column: string, value: string, hash = 'hashtextextended', seed = 0): string {
  return `(${hash}(${column}, ${String(seed)}) = ${hash}(${value}, ${String(seed)}) AND ${column} = ${value})`;
}

/** SQL: true if an event is of a type. The index of types has a seed of its own (ShortLogIndexes). */
export function typeEqualsSql(column: string, value: string): string {
  return equalsSql(column, value, undefined, TYPE_SEED);
}

const TYPE_SEED = 12;

/** SQL: the RFC 6962 leaf hash of an event (§2.1). */
export function leafHashSql(event: string): string {
  return `sha256('\\x00'::bytea || convert_to(${event}, 'UTF8'))`;
}

/** Columns of `audit_event`, which are parameters of a row. The MAC is needed only while the event is pending. */
const STORED = AUDIT_PARAMETERS.map(([name]) => name).filter((name) => name !== 'mac');

/**
 * Builds the statement that writes one event, makes it pending and returns its id.
 *
 * @param firstParameter number of the row's first parameter
 * @param source SQL that yields one row if the event is to be written, and no row otherwise
 */
export function insertEventSql(firstParameter: number, source = '(SELECT) AS always'): string {
  const value = (name: AuditParameter): string => auditParameterSql(firstParameter, name);
  return `WITH recorded AS (${insertSql(value, source)} RETURNING id)
    INSERT INTO audit_pending (event_id, leaf_hash, mac) SELECT id, ${value('leaf_hash')}, ${value('mac')} FROM recorded
    RETURNING event_id AS id`;
}

/** Writes a row that `AuditService.createRow` made. */
export const INSERT_EVENT = nameStatement('audit-record', insertEventSql(1));

/**
 * Writes a row as the owner of the tables, who has no key and so makes no MAC. Only the owner can set `by_owner`
 * (src/audit-log/taken-events.ts).
 */
export const INSERT_EVENT_OF_OWNER = nameStatement(
  'audit-record-of-owner',
  `WITH recorded AS (${insertSql((name) => auditParameterSql(1, name), '(SELECT) AS always')} RETURNING id)
   INSERT INTO audit_pending (event_id, leaf_hash, mac, by_owner)
   SELECT id, ${auditParameterSql(1, 'leaf_hash')}, ${auditParameterSql(1, 'mac')}, TRUE FROM recorded`,
);

/**
 * Builds the parts of a WITH that write an event for each row of a record set, so that changes and their records are one
 * statement.
 *
 * @param source SQL, with AUDIT_COLUMNS
 */
export function insertEachEventPartsSql(source: string): string {
  return `recorded AS (${insertSql((name) => `audit_${name}`, source)}),
     waiting AS (INSERT INTO audit_pending (event_id, leaf_hash, mac) SELECT audit_id, audit_leaf_hash, audit_mac FROM ${source})`;
}

function insertSql(value: (name: AuditParameter) => string, source: string): string {
  return `INSERT INTO audit_event (${STORED.join(', ')}) SELECT ${STORED.map(value).join(', ')} FROM ${source}`;
}

/**
 * Makes a row without a MAC, which an event of the owner of the tables has not.
 *
 * @param uid the user's pseudonym or stand-in, which represents the user in the event
 */
export function createAuditRow(entry: AuditEntry, context: RequestContext | null, time: Date, uid?: string): AuditRow {
  const id = makeUuidv7(time);
  const event = toCanonical(toOcsf({ ...redactUserId(entry), userId: uid }, { id, time, context }));
  const leafHash = hashLeaf(event);
  const { rpId, credential } = entry;
  const values = [
    ...[id, event, leafHash, null],
    ...[entry.type, entry.outcome, context?.caller?.spiffeId ?? null, rpId ?? null, uid ?? null],
    ...[credential?.id ?? null, credential?.credentialId ?? null],
  ];
  return { id, entry, values };
}

/** @param computeMac computes it from the event's id and leaf hash */
export function withMac(row: AuditRow, computeMac: (id: string, leafHash: Buffer) => Buffer): AuditRow {
  return { ...row, values: row.values.with(MAC, computeMac(row.id, row.values[LEAF_HASH] as Buffer)) };
}

/**
 * Returns the smallest UUIDv7 of a time in milliseconds since 1970 (RFC 9562 §5.7). Ids begin with the time, so a range
 * of time is a range of ids.
 */
export function toFirstId(time: number): string {
  const hex = Math.max(0, time).toString(16).padStart(12, '0').slice(-12);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Reads the time of a UUIDv7, in milliseconds since 1970. */
export function parseIdTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
