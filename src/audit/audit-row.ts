import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { v7 as uuidv7 } from 'uuid';
import type { RequestContext } from '../identity/request-context.js';
import type { AuditEntry } from './audit-entry.js';
import { toOcsf } from './ocsf.js';

/** An event on its way into the log. */
export interface AuditRow {
  readonly id: string;
  readonly entry: AuditEntry;
  /** In the order of AUDIT_COLUMNS. */
  readonly values: readonly unknown[];
}

const AUDIT_COLUMNS = [
  ['id', 'uuid'],
  ['event', 'text'],
  ['leaf_hash', 'bytea'],
  ['type', 'text'],
  ['outcome', 'text'],
  ['actor', 'text'],
  ['rp_id', 'text'],
  ['user_id', 'text'],
  ['credential_uid', 'uuid'],
  ['credential_id', 'text'],
] as const;

/** How many parameters a row takes. */
export const AUDIT_ROW_WIDTH = AUDIT_COLUMNS.length;

/**
 * The INSERT of one row, so that a change and its record can be one statement.
 *
 * @param firstParameter number of the row's first parameter
 * @param source `FROM …` that yields one row when the event is to be written, and none when it is not
 */
export function auditInsert(firstParameter: number, source = ''): string {
  const values = AUDIT_COLUMNS.map(([, type], index) => `$${String(firstParameter + index)}::${type}`);
  return `INSERT INTO audit_event (${AUDIT_COLUMNS.map(([name]) => name).join(', ')}) SELECT ${values.join(', ')} ${source}`;
}

export function auditRow(entry: AuditEntry, context: RequestContext | null, time: Date): AuditRow {
  const id = uuidv7({ msecs: time.getTime() });
  const event = canonicalize(toOcsf(entry, { id, time, context }))!;
  const { caller } = context ?? {};
  const { rpId, userId, credential } = entry;
  const subjects = [caller?.spiffeId, rpId, userId, credential?.id, credential?.credentialId];
  const values = [id, event, leafHash(event), entry.type, entry.outcome, ...subjects.map((subject) => subject ?? null)];
  return { id, entry, values };
}

/** RFC 6962 §2.1: the hash of a leaf. */
export function leafHash(event: string): Buffer {
  return createHash('sha256').update('\0').update(event).digest();
}
