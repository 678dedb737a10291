import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { CompactRange, HASH_BYTES } from '../../src/tlog/merkle.js';
import { readLogSigners } from '../../src/tlog/keys.js';
import { signCheckpoint } from '../../src/tlog/checkpoint.js';
import { isStoredLevel } from '../../src/tlog/tiles.js';
import { ACTIVE_EVERY, type Population } from './population.js';
import type { Template } from './templates.js';

const CHUNK = 50_000;
const ORIGIN = 'passkey-manager/default';

/**
 * The kind of template and the number of the active user, for each event from $1. In a hundred sign-ins, one is refused
 * and one belongs to a user whose sign-in a robot tries all day. In a thousand events, one is of a small relying party and
 * one is a rename. In five thousand, one is an auditor's read.
 */
const PLAN = `
  SELECT j, $3::bigint + (j * $4::float8)::bigint AS time,
         CASE WHEN j % 1000 = 13 THEN 3
              WHEN j % 5000 = 4321 THEN 4
              WHEN j % 1000 = 7 THEN 2
              WHEN j % 100 = 50 THEN 1
              ELSE 0 END AS kind,
         CASE WHEN j % 100 = 1 THEN 0 ELSE j * 7919 % $5::bigint END AS n
    FROM generate_series($1::bigint, $2::bigint - 1) AS j`;

/** Writes a chunk of events and their leaves. The ids are UUIDv7 in the order of the events. */
const INSERT = `
  WITH event AS (
    SELECT *, format(template.event, id, time, ${iso('time')}, audit_uid, credential_uid, credential_id) AS text
      FROM (SELECT *, (lpad(to_hex(time), 12, '0') || '7' || left(md5(j::text), 3) || 'b' || right(md5(j::text), 15))::uuid AS id
              FROM (${PLAN}) AS plan) AS planned
      JOIN template USING (kind)
      JOIN active USING (n)
     ORDER BY id),
   written AS (
    INSERT INTO audit_event (id, event, leaf_hash, type, outcome, actor, rp_id, user_id, credential_uid, credential_id)
    SELECT id, text, sha256('\\x00'::bytea || convert_to(text, 'UTF8')), type, outcome, actor, rp_id,
           CASE WHEN of_user THEN audit_uid END, CASE WHEN of_credential THEN credential_uid END,
           CASE WHEN of_credential THEN credential_id END
      FROM event
    RETURNING id, leaf_hash),
   leaf AS (
    INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash)
    SELECT $1::bigint + row_number() OVER (ORDER BY id) - 1, id, leaf_hash FROM written
    RETURNING *)
  SELECT string_agg(leaf_hash, ''::bytea ORDER BY leaf_index) AS hashes, count(*)::integer AS count, max(event_id::text) AS "lastId"
    FROM leaf`;

function iso(time: string): string {
  return `to_char(to_timestamp(${time} / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

interface Written {
  readonly hashes: Buffer;
  readonly count: number;
  readonly lastId: string;
}

/**
 * Loads copies of real events with ids, times, users and credentials of their own, and the log over them: leaves, stored
 * hashes and a checkpoint for each chunk. The functions of the sequencer make them, so the sequencer continues from there.
 */
export async function loadEvents(
  session: pg.Client,
  population: Population,
  templates: readonly Template[],
  directory: string,
  progress: (done: number) => void,
): Promise<void> {
  const { size, since, until } = population;
  const signers = readLogSigners(readFileSync(join(directory, 'audit.key'), 'utf8'), ORIGIN);
  await prepare(session, templates);
  const range = new CompactRange();
  for (let from = 0; from < size; from += CHUNK) {
    const to = Math.min(from + CHUNK, size);
    progress(from);
    const values = [from, to, since, (until - since) / size, Math.ceil(size / ACTIVE_EVERY)];
    const written = (await session.query<Written>(INSERT, values)).rows[0]!;
    if (written.count !== to - from) throw new Error(`${String(written.count)} events of ${String(to - from)}`);
    await storeNodes(session, range, written.hashes);
    const [root, now] = [range.computeRoot(), new Date()];
    const note = await signCheckpoint({ origin: ORIGIN, size: to, root, extensions: [] }, signers, now);
    await session.query(
      'INSERT INTO audit_checkpoint (size, root, frontier, last_id, note, created_at) VALUES ($1, $2, $3, $4, $5, $6)',
      [to, root, range.serialise(), written.lastId, note, now],
    );
  }
}

/** Writes the tables that the statement joins, as temporary tables of this session. */
async function prepare(session: pg.Client, templates: readonly Template[]): Promise<void> {
  await session.query(
    `CREATE TEMPORARY TABLE template AS
       SELECT (ordinality - 1)::integer AS kind, t.event, t.type, t.outcome, t.actor, t.rp_id, t.of_user, t.of_credential
         FROM json_array_elements($1::json) WITH ORDINALITY AS element (value, ordinality),
              json_to_record(value) AS t (event text, type text, outcome text, actor text, rp_id text, of_user boolean,
                                          of_credential boolean)`,
    [JSON.stringify(templates)],
  );
  await session.query(
    `CREATE TEMPORARY TABLE active AS
       SELECT number / ${String(ACTIVE_EVERY)} AS n, audit_uid::text AS audit_uid, id AS credential_uid,
              rtrim(translate(encode(credential_id, 'base64'), '+/', '-_'), '=') AS credential_id
         FROM (SELECT substr(user_id, 6)::bigint AS number, * FROM credential) AS credential
         JOIN user_handle USING (rp_id, user_id)
        WHERE number % ${String(ACTIVE_EVERY)} = 0`,
  );
  await session.query('ALTER TABLE active ADD PRIMARY KEY (n); ANALYZE active; ANALYZE template');
}

async function storeNodes(session: pg.Client, range: CompactRange, hashes: Buffer): Promise<void> {
  const nodes: [number[], number[], Buffer[]] = [[], [], []];
  for (let at = 0; at < hashes.length; at += HASH_BYTES) {
    range.append(hashes.subarray(at, at + HASH_BYTES), (level, index, hash) => {
      if (!isStoredLevel(level)) return;
      nodes[0].push(level);
      nodes[1].push(index);
      nodes[2].push(hash);
    });
  }
  await session.query(
    'INSERT INTO audit_node (level, index, hash) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])',
    nodes,
  );
}
