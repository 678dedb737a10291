import type { DataSource, EntityManager } from 'typeorm';
import type { AuditEntry } from '../../src/audit/audit-entry.js';
import { createAuditRow, INSERT_EVENT_OF_OWNER } from '../../src/audit/audit-event.repository.js';
import type { Queryable } from '../../src/database/named-statement.js';

type Counts = Readonly<Record<string, number>>;

export interface KeyState {
  /** null: the rows whose seal names no key, of the version before. */
  readonly id: string | null;
  readonly firstAt: Date | null;
  readonly retiredAt: Date | null;
  /** The number of rows that the key has sealed, by table. */
  readonly rows: Counts;
}

interface SealedTable {
  /** The column of the seal. */
  readonly seal: string;
  /** The columns that tell an operator which row it is. */
  readonly key: string;
}

const SEALED: Readonly<Record<string, SealedTable>> = {
  credential: { seal: 'binding_mac', key: 'rp_id, id' },
  user_handle: { seal: 'seal', key: 'rp_id, audit_uid' },
  relying_party: { seal: 'seal', key: 'rp_id' },
  approval: { seal: 'mac', key: 'rp_id, id' },
  // An event whose key is retired before its turn would get no place in the log.
  audit_pending: { seal: 'mac', key: 'event_id' },
};
const TABLES = Object.keys(SEALED);
const SEAL_BYTES = 20;

/** SQL: the id of the key of a seal; NULL: it names none. */
const keyIdSql = (column: string): string =>
  `CASE WHEN octet_length(${column}) = ${String(SEAL_BYTES)} THEN encode(substring(${column} FOR 4), 'hex') END`;

/** Counts the rows that a key has sealed, by table. Reads every row. */
export async function countRows(through: DataSource, id: string): Promise<Counts> {
  const counts: Record<string, number> = {};
  for (const [table, { seal }] of Object.entries(SEALED)) {
    const [row] = await through.query<{ rows: number }[]>(
      `SELECT count(*)::float8 AS rows FROM ${table} WHERE ${keyIdSql(seal)} = $1`,
      [id],
    );
    counts[table] = row!.rows;
  }
  return counts;
}

/** Names the rows that a key has sealed, or that only say so. Reads every row. */
export async function nameRows(through: Queryable, id: string): Promise<string[]> {
  const names: string[] = [];
  for (const [table, { seal, key }] of Object.entries(SEALED)) {
    const rows = await through.query<{ name: string }[]>(
      `SELECT concat_ws(' ', '${table}', ${key}) AS name FROM ${table} WHERE ${keyIdSql(seal)} = $1 ORDER BY 1`,
      [id],
    );
    for (const { name } of rows) names.push(name);
  }
  return names;
}

/** Lists the keys that the database names, in the order in which they were added. */
export function listRegistered(through: DataSource): Promise<Omit<KeyState, 'rows'>[]> {
  return through.query(
    'SELECT id, first_at AS "firstAt", retired_at AS "retiredAt" FROM seal_key ORDER BY added_at, id',
  );
}

/** Finds the key with which a service has last begun to seal. undefined: none has. */
export async function findKeyInUse(through: DataSource): Promise<string | undefined> {
  const [key] = await through.query<{ id: string }[]>(
    'SELECT id FROM seal_key WHERE first_at IS NOT NULL ORDER BY first_at DESC LIMIT 1',
  );
  return key?.id;
}

/** Lists the keys with their rows, and the rows that name no key of these. Reads every row. */
export async function listKeys(through: DataSource): Promise<KeyState[]> {
  const keys = await listRegistered(through);
  const rows = new Map<string | null, Record<string, number>>();
  for (const [table, { seal }] of Object.entries(SEALED)) {
    const counted = await through.query<{ id: string | null; rows: number }[]>(
      `SELECT ${keyIdSql(seal)} AS id, count(*)::float8 AS rows FROM ${table} GROUP BY 1`,
    );
    for (const { id, rows: count } of counted) rows.set(id, { ...rows.get(id), [table]: count });
  }
  const known = new Set(keys.map(({ id }) => id));
  const unknown = [...rows.keys()].filter((id) => id === null || !known.has(id));
  return [
    ...keys.map((key) => ({ ...key, rows: rows.get(key.id) ?? {} })),
    ...unknown.map((id) => ({ id, firstAt: null, retiredAt: null, rows: rows.get(id) ?? {} })),
  ];
}

/** If the command ends before its work, replicas do not seal with the key, and still accept what it sealed. */
const NOT_YET = new Date('9999-01-01T00:00:00Z');

/** Lets replicas stop to seal with a key, when they look. */
export async function announceRetirement(through: DataSource, id: string): Promise<void> {
  await through.query('UPDATE seal_key SET retired_at = $2 WHERE id = $1', [id, NOT_YET]);
}

export async function cancelRetirement(through: DataSource, id: string): Promise<void> {
  await through.query('UPDATE seal_key SET retired_at = NULL WHERE id = $1', [id]);
}

/** Makes the seals of a key stop to count now, and records that in the same transaction. */
export async function endRetirement(
  manager: EntityManager,
  id: string,
  now: Date,
  event: Pick<AuditEntry, 'type' | 'approvalId' | 'facts'>,
): Promise<void> {
  await manager.query('UPDATE seal_key SET retired_at = $2 WHERE id = $1', [id, now]);
  const entry = { ...event, outcome: 'success', facts: { seal_key: id, ...event.facts } } as const;
  await INSERT_EVENT_OF_OWNER.run(manager, createAuditRow(entry, null, now).values);
}

/** @param inFile the ids of the keys in the file, in its order */
export function formatKeys(inFile: readonly string[], keys: readonly KeyState[]): string {
  const ids = [...new Set([...inFile, ...keys.map(({ id }) => id)])];
  const lines = ids.map((id) => {
    const key = keys.find((each) => each.id === id);
    const counts = TABLES.map((table) => String(key?.rows[table] ?? 0));
    return [id ?? 'none', describePlace(id, inFile, key), ...counts];
  });
  const header = ['key', 'place', ...TABLES];
  const widths = header.map((_, column) => Math.max(...[header, ...lines].map((line) => line[column]!.length)));
  return [header, ...lines]
    .map((line) => line.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  '))
    .join('\n');
}

function describePlace(id: string | null, inFile: readonly string[], key: KeyState | undefined): string {
  if (id === null) return 'the version before';
  if (key?.retiredAt && key.retiredAt > new Date()) return 'accepted, to be retired';
  if (key?.retiredAt) return inFile.includes(id) ? 'retired, still in the file' : 'retired';
  if (!inFile.includes(id)) return 'missing in the file';
  return inFile[0] === id ? 'seals' : 'accepted';
}
