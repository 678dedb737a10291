import { CompactRange } from '../../src/tlog/merkle.js';
import { TILE_HEIGHT } from '../../src/tlog/tiles.js';
import type { StoredLog } from './stored-log.js';

/** Lines of an export, from 1. `unseen`: the alteration changes nothing that an export contains. */
export type Location = readonly [first: number, last: number] | 'unseen';

/** Alters a log of `size` leaves at two places, as the owner of the database could. Returns where the export shows it. */
export type Alteration = (log: StoredLog, at: number, other: number, size: number) => Promise<Location>;

const TILE = 2 ** TILE_HEIGHT;
const FORGED = `replace(event, 'audit.read', 'audit.raed')`;
const LEAF_HASH = `sha256('\\x00'::bytea || convert_to(event, 'UTF8'))`;
const EVENT = 'WHERE id = (SELECT event_id FROM audit_leaf WHERE leaf_index = $1)';
const LATEST = 'WHERE size = (SELECT max(size) FROM audit_checkpoint)';
const flipped = (column: string): string => `set_byte(${column}, $2 % 32, get_byte(${column}, $2 % 32) # 1)`;
const line = (at: number): Location => [at + 1, at + 1];

/** Alters the log by one statement. */
function by(sql: string, location: (at: number, other: number, size: number) => Location): Alteration {
  return async (log, at, other, size) => {
    const values = [at, other].slice(0, sql.includes('$2') ? 2 : sql.includes('$1') ? 1 : 0);
    await log.sql(sql, values);
    return location(at, other, size);
  };
}

const proofLine = (_at: number, _other: number, size: number): Location => line(size);
const unseen = (): Location => 'unseen';
const tile = (at: number): number => at % 2;
const nodeOf = (at: number): Location => [tile(at) * TILE + 1, (tile(at) + 1) * TILE];

export const ALTERATIONS: Readonly<Record<string, Alteration>> = {
  'an event edited': by(`UPDATE audit_event SET event = ${FORGED} ${EVENT}`, line),
  'an event deleted': by(`DELETE FROM audit_event ${EVENT}`, line),
  'the events from one on deleted': by(
    'DELETE FROM audit_event WHERE id IN (SELECT event_id FROM audit_leaf WHERE leaf_index >= $1)',
    line,
  ),
  'the order of an event edited': by(`UPDATE audit_event SET tx = '7' ${EVENT}`, unseen),
  'the columns for queries edited': by(`UPDATE audit_event SET actor = 'another' ${EVENT}`, unseen),
  'an event inserted among those of the past': by(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome, tx)
     SELECT gen_random_uuid(), event, leaf_hash, type, outcome, '7' FROM audit_event ${EVENT}`,
    unseen,
  ),
  'a leaf edited': by(`UPDATE audit_leaf SET leaf_hash = ${flipped('leaf_hash')} WHERE leaf_index = $1`, line),
  'a leaf deleted': by('DELETE FROM audit_leaf WHERE leaf_index = $1', line),
  'a leaf without its event': by('UPDATE audit_leaf SET event_id = gen_random_uuid() WHERE leaf_index = $1', line),
  'a leaf appended': by(
    `INSERT INTO audit_leaf SELECT max(leaf_index) + 1, gen_random_uuid(), sha256('') FROM audit_leaf`,
    unseen,
  ),
  'the leaves from one on deleted': by('DELETE FROM audit_leaf WHERE leaf_index >= $1', line),
  'a node edited': by(`UPDATE audit_node SET hash = ${flipped('hash')} WHERE level = 8 AND index = $1 % 2`, nodeOf),
  'a node deleted': by('DELETE FROM audit_node WHERE level = 8 AND index = $1 % 2', (at) =>
    line((tile(at) + 1) * TILE - 1),
  ),
  'a node inserted': by(`INSERT INTO audit_node VALUES (8, 2 + $1, sha256(''))`, unseen),
  'two nodes exchanged': by(
    'UPDATE audit_node SET hash = (SELECT hash FROM audit_node n WHERE n.index <> audit_node.index)',
    () => [1, TILE],
  ),
  'the newest note edited': by(
    `UPDATE audit_checkpoint SET note = overlay(note placing chr(ascii(substr(note, 1 + $1, 1)) + 1) from 1 + $1) ${LATEST}`,
    proofLine,
  ),
  'the newest checkpoint said to be larger': by(
    `UPDATE audit_checkpoint SET size = size + 1 + $1 ${LATEST}`,
    proofLine,
  ),
  'a larger checkpoint inserted': by(
    `INSERT INTO audit_checkpoint SELECT size + 1 + $1, root, frontier, last_tx, last_id, note, created_at FROM audit_checkpoint ${LATEST}`,
    proofLine,
  ),
  'what the next batch begins with edited': by(
    `UPDATE audit_checkpoint SET frontier = ${flipped('frontier')}, root = ${flipped('root')}, last_tx = last_tx + $1 ${LATEST}`,
    unseen,
  ),
  'an older checkpoint edited': by(
    `UPDATE audit_checkpoint SET root = ${flipped('root')}, note = note || $1::integer WHERE size = (SELECT min(size) FROM audit_checkpoint)`,
    unseen,
  ),
  'an older checkpoint deleted': by(
    'DELETE FROM audit_checkpoint WHERE size = (SELECT min(size) FROM audit_checkpoint)',
    unseen,
  ),
  'the newest checkpoint deleted': by(`DELETE FROM audit_checkpoint ${LATEST}`, (_at, _other, size) =>
    line(size - 100),
  ),
  'the log cut to an older checkpoint': by(
    `WITH kept AS (SELECT 100 * (1 + $1 % 5) AS size), cut AS (DELETE FROM audit_leaf WHERE leaf_index >= (SELECT size FROM kept)) DELETE FROM audit_checkpoint WHERE size > (SELECT size FROM kept)`,
    (at) => line(100 * (1 + (at % 5))),
  ),
  'two leaves exchanged': swapped,
  'the events of two leaves exchanged': (log, at, other) => exchange(log, at, other, 'event_id'),
  'the hashes of two leaves exchanged': (log, at, other) => exchange(log, at, other, 'leaf_hash'),
  'a leaf inserted': inserted,
  'an event forged with all that is stored of it': forged,
};

async function exchange(log: StoredLog, at: number, other: number, column: string): Promise<Location> {
  const rows = await log.sql<Record<string, unknown>>(
    `SELECT leaf_index, ${column} AS value FROM audit_leaf WHERE leaf_index IN ($1, $2) ORDER BY leaf_index`,
    [at, other],
  );
  // The index would refuse an event that has two leaves for a moment.
  await log.sql('DROP INDEX IF EXISTS audit_leaf_event');
  for (const [n, row] of rows.entries()) {
    const { value } = rows[rows.length - 1 - n]!;
    await log.sql(`UPDATE audit_leaf SET ${column} = $1 WHERE leaf_index = $2`, [value, row['leaf_index']]);
  }
  return at === other ? 'unseen' : line(Math.min(at, other));
}

/** Swaps two leaves with their events. Each line holds, and only the signed checkpoints reveal the swap. */
async function swapped(log: StoredLog, at: number, other: number, size: number): Promise<Location> {
  await exchange(log, at, other, 'event_id');
  if ((await exchange(log, at, other, 'leaf_hash')) === 'unseen') return 'unseen';
  return signedLines(Math.min(at, other), size);
}

async function inserted(log: StoredLog, at: number, other: number, size: number): Promise<Location> {
  const [event] = await log.sql<{ id: string }>(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
     SELECT gen_random_uuid(), event, leaf_hash, type, outcome FROM audit_event ${EVENT} RETURNING id`,
    [other],
  );
  await log.sql('ALTER TABLE audit_leaf DROP CONSTRAINT IF EXISTS audit_leaf_index');
  await log.sql('UPDATE audit_leaf SET leaf_index = -leaf_index - 2 WHERE leaf_index >= $1', [at]);
  await log.sql('UPDATE audit_leaf SET leaf_index = -leaf_index - 1 WHERE leaf_index < 0');
  await log.sql('INSERT INTO audit_leaf SELECT $1, id, leaf_hash FROM audit_event WHERE id = $2', [at, event?.id]);
  return signedLines(at, size);
}

/** Forges an event, with a leaf and a stored hash that fit it. */
async function forged(log: StoredLog, at: number, _other: number, size: number): Promise<Location> {
  await log.sql(`UPDATE audit_event SET event = ${FORGED} ${EVENT}`, [at]);
  await log.sql(`UPDATE audit_event SET leaf_hash = ${LEAF_HASH} ${EVENT}`, [at]);
  await log.sql(
    `UPDATE audit_leaf SET leaf_hash = (SELECT leaf_hash FROM audit_event WHERE id = event_id) WHERE leaf_index = $1`,
    [at],
  );
  const index = Math.floor(at / TILE);
  const leaves = await log.replica.storage.read(0, index * TILE, TILE);
  const range = new CompactRange(index * TILE);
  for (const leaf of leaves) range.append(leaf);
  if (leaves.length === TILE)
    await log.sql('UPDATE audit_node SET hash = $1 WHERE level = 8 AND index = $2', [range.hashes[0], index]);
  return signedLines(at, size, false);
}

/** Finds the lines between two signed checkpoints, or those of the 256 leaves of a stored hash that ends sooner. */
function signedLines(at: number, size: number, node = true): Location {
  const signed = 100 * Math.floor(at / 100);
  const whole = TILE * Math.floor(at / TILE);
  const byNode = node && whole + TILE < signed + 100 && whole + TILE <= size;
  return byNode ? [whole + 1, whole + TILE] : [signed + 1, signed + 100];
}
