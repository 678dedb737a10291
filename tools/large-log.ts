/**
 * `npm run large-log [-- EVENTS]` fills the audit log with events (1,000,000), lets the service sequence them, and exports
 * the log over the service's listener. It watches the service's memory, and verifies the export as it arrives.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { prepareDevelopment } from '../dev/prepare-development.js';
import { startEmbeddedPostgres } from '../dev/embedded-postgres/embedded-postgres.js';
import { EXIT, type Program, ProgressLine, readArguments } from '../commands/command-line.js';
import { startService } from './built-service.js';
import { Workspace } from './workspace.js';

const PROGRAM: Program = {
  command: 'npm run large-log --',
  usage: ['[EVENTS]'],
  about: 'Fills the audit log with events, lets the service sequence them, exports the log and verifies the export.',
  operands: { EVENTS: 'The number of events; 1000000 without it.' },
  options: {},
  examples: ['', '50000'],
  exitCodes: {
    [EXIT.done]: 'The export verifies.',
    [EXIT.failed]: 'The export does not verify, or the service fails.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
};
const EVENTS = Number(readArguments(PROGRAM).operands[0] ?? 1_000_000);
const CHUNK = 50_000;

const workspace = new Workspace('large-log');
const { directory } = workspace;
await prepareDevelopment(directory);
const database = await startEmbeddedPostgres({ directory });
const service = await startService({ PASSKEY_DATA_DIR: directory, DATABASE_URL: database.migratorUrl });
const session = new pg.Client({ connectionString: database.migratorUrl });
await session.connect();

const progress = new ProgressLine();
const say = (text: string): void => {
  progress.show(text);
};
const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MiB`;

/** Reads the resident memory of the service, in bytes. */
function resident(): number {
  const status = readFileSync(`/proc/${String(service.pid)}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

async function number(sql: string): Promise<number> {
  const { rows } = await session.query<{ n: string | null }>(sql);
  return Number(rows[0]?.n ?? 0);
}

/** Writes copies of an event of the owner of the tables, which needs no MAC. Each has an id of its own, and so stays canonical. */
async function fill(): Promise<void> {
  const { rows } = await session.query<{ id: string; event: string }>(
    `SELECT id, event FROM audit_event WHERE type = 'schema.migrate' LIMIT 1`,
  );
  for (let made = 0; made < EVENTS; made += CHUNK) {
    await session.query(
      `WITH recorded AS (
         INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
         SELECT id, event, sha256('\\x00'::bytea || convert_to(event, 'UTF8')), 'schema.migrate', 'success'
           FROM (SELECT id, replace($1, $2, id::text) AS event
                   FROM (SELECT overlay(gen_random_uuid()::text PLACING left($2, 15) FROM 1)::uuid AS id
                           FROM generate_series(1, $3)) AS ids) AS events
         RETURNING id, leaf_hash)
       INSERT INTO audit_pending (event_id, leaf_hash, by_owner) SELECT id, leaf_hash, TRUE FROM recorded`,
      [rows[0]?.event, rows[0]?.id, Math.min(CHUNK, EVENTS - made)],
    );
    say(`${String(made + CHUNK)} events written`);
  }
}

async function ordered(): Promise<void> {
  for (let size = 0; size < EVENTS;) {
    await sleep(500);
    size = await number('SELECT max(size) AS n FROM audit_checkpoint');
    say(`${String(size)} events sequenced, ${megabytes(resident())} resident`);
  }
}

async function exported(): Promise<void> {
  const keys = readFileSync(join(directory, 'audit.pub'), 'utf8');
  const [before, started] = [resident(), Date.now()];
  let highest = before;
  const response = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
    const pki = (name: string): Buffer => readFileSync(join(directory, 'pki', name));
    const options = { ca: pki('ca.crt'), cert: pki('auditor.crt'), key: pki('auditor.key') };
    request(`${service.url}/v1/audit/export`, options, resolve).on('error', reject).end();
  });
  const proved = await verifyExport(response, parseVerifierKeys(keys), {
    onProgress: (bytes, lines) => {
      if (lines % 50 !== 0) return;
      highest = Math.max(highest, resident());
      say(`${String(lines)} lines, ${megabytes(bytes)}, ${megabytes(highest)} resident at most`);
    },
  });
  const seconds = (Date.now() - started) / 1_000;
  progress.clear();
  console.log(`
verified   ${String(proved.events)} events, leaves [${String(proved.from)}, ${String(proved.to)})
time       ${seconds.toFixed(1)} s, ${(proved.events / seconds).toFixed(0)} events/s
memory     ${megabytes(before)} before the export, ${megabytes(highest)} at most`);
}

try {
  await fill();
  const started = Date.now();
  await ordered();
  progress.clear();
  console.log(`sequenced  ${(EVENTS / ((Date.now() - started) / 1_000)).toFixed(0)} events/s`);
  await exported();
} finally {
  await session.end();
  await service.stop();
  await database.stop();
  await workspace.end();
}
