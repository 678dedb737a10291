import { randomUUID } from 'node:crypto';
import { CompactRange, hashLeaf } from '../../src/tlog/merkle.js';
import { TILE_HEIGHT } from '../../src/tlog/tiles.js';
import type { StoredLog } from './stored-log.js';

/** Lines of an export, from 1. `unseen`: the alteration changes nothing that an export contains. */
export type Location = readonly [first: number, last: number] | 'unseen';

/** Alters a log of `size` leaves at two places, as the owner of the database could. Returns where the export shows it. */
export type Alteration = (log: StoredLog, at: number, other: number, size: number) => Promise<Location>;

const TILE = 2 ** TILE_HEIGHT;
const FORGED = `replace(event, 'audit.read', 'audit.raed')`;
const EVENT = 'WHERE id = (SELECT event_id FROM audit_leaf WHERE leaf_index = $1)';
const LATEST = 'WHERE size = (SELECT max(size) FROM audit_checkpoint)';
const flipBit = (column: string, at = '$2'): string =>
  `set_byte(${column}, ${at} % 32, get_byte(${column}, ${at} % 32) # 1)`;
const locateLine = (at: number): Location => [at + 1, at + 1];

/** Alters the log by one statement. */
function alterBy(sql: string, location: (at: number, other: number, size: number) => Location): Alteration {
  return async (log, at, other, size) => {
    const values = [at, other].slice(0, sql.includes('$2') ? 2 : sql.includes('$1') ? 1 : 0);
    await log.sql(sql, values);
    return location(at, other, size);
  };
}

const locateProof = (_at: number, _other: number, size: number): Location => locateLine(size);
const locateNowhere = (): Location => 'unseen';
const chooseTile = (at: number): number => at % 2;
const locateNode = (at: number): Location => [chooseTile(at) * TILE + 1, (chooseTile(at) + 1) * TILE];

export const ALTERATIONS: Readonly<Record<string, Alteration>> = {
  'an event edited': alterBy(`UPDATE audit_event SET event = ${FORGED} ${EVENT}`, locateLine),
  'an event deleted': alterBy(`DELETE FROM audit_event ${EVENT}`, locateLine),
  'the events from one on deleted': alterBy(
    'DELETE FROM audit_event WHERE id IN (SELECT event_id FROM audit_leaf WHERE leaf_index >= $1)',
    locateLine,
  ),
  'the columns for queries edited': alterBy(`UPDATE audit_event SET actor = 'another' ${EVENT}`, locateNowhere),
  'an event inserted among those of the past': alterBy(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
     SELECT gen_random_uuid(), event, leaf_hash, type, outcome FROM audit_event ${EVENT}`,
    locateNowhere,
  ),
  'a leaf edited': alterBy(
    `UPDATE audit_leaf SET leaf_hash = ${flipBit('leaf_hash')} WHERE leaf_index = $1`,
    locateLine,
  ),
  'a leaf deleted': alterBy('DELETE FROM audit_leaf WHERE leaf_index = $1', locateLine),
  'a leaf without its event': alterBy(
    `UPDATE audit_leaf SET event_id = '${randomUUID()}' WHERE leaf_index = $1`,
    locateLine,
  ),
  'a leaf appended': alterBy(
    `INSERT INTO audit_leaf SELECT max(leaf_index) + 1, gen_random_uuid(), sha256('') FROM audit_leaf`,
    locateNowhere,
  ),
  'the leaves from one on deleted': alterBy('DELETE FROM audit_leaf WHERE leaf_index >= $1', locateLine),
  'a node edited': alterBy(
    `UPDATE audit_node SET hash = ${flipBit('hash')} WHERE level = 8 AND index = $1 % 2`,
    locateNode,
  ),
  'a node deleted': alterBy('DELETE FROM audit_node WHERE level = 8 AND index = $1 % 2', (at) =>
    locateLine((chooseTile(at) + 1) * TILE - 1),
  ),
  'a node inserted': alterBy(`INSERT INTO audit_node VALUES (8, 2 + $1, sha256(''))`, locateNowhere),
  'two nodes exchanged': alterBy(
    'UPDATE audit_node SET hash = (SELECT hash FROM audit_node n WHERE n.index <> audit_node.index)',
    () => [1, TILE],
  ),
  'the newest note edited': alterBy(
    `UPDATE audit_checkpoint SET note = overlay(note placing chr(ascii(substr(note, 1 + $1, 1)) + 1) from 1 + $1) ${LATEST}`,
    locateProof,
  ),
  'the newest checkpoint said to be larger': alterBy(
    `UPDATE audit_checkpoint SET size = size + 1 + $1 ${LATEST}`,
    locateProof,
  ),
  'a larger checkpoint inserted': alterBy(
    `INSERT INTO audit_checkpoint (size, root, frontier, last_id, note, created_at) SELECT size + 1 + $1, root, frontier, last_id, note, created_at FROM audit_checkpoint ${LATEST}`,
    locateProof,
  ),
  'what the next batch begins with edited': alterBy(
    `UPDATE audit_checkpoint SET frontier = ${flipBit('frontier', '$1')}, root = ${flipBit('root', '$1')} ${LATEST}`,
    locateNowhere,
  ),
  'an older checkpoint edited': alterBy(
    `UPDATE audit_checkpoint SET root = ${flipBit('root')}, note = note || $1::integer WHERE size = (SELECT min(size) FROM audit_checkpoint)`,
    locateNowhere,
  ),
  'an older checkpoint deleted': alterBy(
    'DELETE FROM audit_checkpoint WHERE size = (SELECT min(size) FROM audit_checkpoint)',
    locateNowhere,
  ),
  'the newest checkpoint deleted': alterBy(`DELETE FROM audit_checkpoint ${LATEST}`, (_at, _other, size) =>
    locateLine(size - 100),
  ),
  'the log cut to an older checkpoint': alterBy(
    `WITH kept AS (SELECT 100 * (1 + $1 % 5) AS size), cut AS (DELETE FROM audit_leaf WHERE leaf_index >= (SELECT size FROM kept)) DELETE FROM audit_checkpoint WHERE size > (SELECT size FROM kept)`,
    (at) => locateLine(100 * (1 + (at % 5))),
  ),
  'two leaves exchanged': swapLeaves,
  'the events of two leaves exchanged': (log, at, other) => exchange(log, at, other, 'event_id'),
  'the hashes of two leaves exchanged': (log, at, other) => exchange(log, at, other, 'leaf_hash'),
  'a leaf inserted': insertLeaf,
  'an event forged with all that is stored of it': forgeEvent,
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
  return at === other ? 'unseen' : locateLine(Math.min(at, other));
}

/** Swaps two leaves with their events. Each line holds, and only the signed checkpoints reveal the swap. */
async function swapLeaves(log: StoredLog, at: number, other: number, size: number): Promise<Location> {
  await exchange(log, at, other, 'event_id');
  if ((await exchange(log, at, other, 'leaf_hash')) === 'unseen') return 'unseen';
  return locateSignedLines(Math.min(at, other), size);
}

/** Inserts a copy of another leaf. A copy of the leaf that it pushes up would not be seen at the end of the log. */
async function insertLeaf(log: StoredLog, at: number, other: number, size: number): Promise<Location> {
  const [event] = await log.sql<{ id: string }>(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
     SELECT gen_random_uuid(), event, leaf_hash, type, outcome FROM audit_event ${EVENT} RETURNING id`,
    [other === at ? (at + 1) % size : other],
  );
  await log.sql('ALTER TABLE audit_leaf DROP CONSTRAINT IF EXISTS audit_leaf_index');
  await log.sql('UPDATE audit_leaf SET leaf_index = -leaf_index - 2 WHERE leaf_index >= $1', [at]);
  await log.sql('UPDATE audit_leaf SET leaf_index = -leaf_index - 1 WHERE leaf_index < 0');
  await log.sql('INSERT INTO audit_leaf SELECT $1, id, leaf_hash FROM audit_event WHERE id = $2', [at, event?.id]);
  return locateSignedLines(at, size);
}

/** Forges an event, with a leaf and a stored hash that fit it. */
async function forgeEvent(log: StoredLog, at: number, _other: number, size: number): Promise<Location> {
  const [forged] = await log.sql<{ event: string }>(
    `UPDATE audit_event SET event = ${FORGED} ${EVENT} RETURNING event`,
    [at],
  );
  const hash = hashLeaf(forged!.event);
  await log.sql(`UPDATE audit_event SET leaf_hash = $2 ${EVENT}`, [at, hash]);
  await log.sql('UPDATE audit_leaf SET leaf_hash = $2 WHERE leaf_index = $1', [at, hash]);
  const index = Math.floor(at / TILE);
  const leaves = await log.replica.storage.read(0, index * TILE, TILE);
  const range = new CompactRange(index * TILE);
  for (const leaf of leaves) range.append(leaf);
  if (leaves.length === TILE)
    await log.sql('UPDATE audit_node SET hash = $1 WHERE level = 8 AND index = $2', [range.hashes[0], index]);
  return locateSignedLines(at, size, false);
}

/** Finds the lines between two signed checkpoints, or those of the 256 leaves of a stored hash that ends sooner. */
function locateSignedLines(at: number, size: number, node = true): Location {
  const signed = 100 * Math.floor(at / 100);
  const whole = TILE * Math.floor(at / TILE);
  const byNode = node && whole + TILE < signed + 100 && whole + TILE <= size;
  return byNode ? [whole + 1, whole + TILE] : [signed + 1, signed + 100];
}
