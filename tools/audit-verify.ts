/**
 * `npm run audit:verify -- EXPORT --key FILE [--since CHECKPOINT [--consistency PROOF]] [--checkpoints NOTES]
 * [--retained-since TIME]`: proves an export of the audit log, without a database and without a network. EXPORT may be
 * `-`, standard input. Every verifier key of FILE must have signed. `--since` is a checkpoint of before, and PROOF the
 * answer of GET /v1/audit/consistency from its size to this tree's, which is needed where that size is outside of the
 * exported range. NOTES are the checkpoints that were signed over time, one after another; they tell more closely which
 * lines were altered. No event from TIME on may be erased. Exit code 0: it holds, and what it proves is told; 1: it does
 * not, and the first line that does not is named; 2: it could not be asked.
 */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readNotes } from '../src/audit/log/anchored-checkpoints.js';
import { parseConsistency } from '../src/audit/log/consistency-document.js';
import { ExportError } from '../src/audit/log/export-error.js';
import { parseVerifierKeys } from '../src/audit/log/verifier-key.js';
import { type ProvedExport, verifyExport, type VerifyOptions } from '../src/audit/log/verify-export.js';

const USAGE =
  'usage: npm run audit:verify -- EXPORT|- --key FILE [--since CHECKPOINT [--consistency PROOF]] [--checkpoints NOTES] [--retained-since RFC3339]';
const CHUNK_BYTES = 2 ** 20;
const REFRESH_MS = 200;
const BAR_WIDTH = 24;
const MEGABYTE = 1e6;

interface Request {
  readonly path: string;
  readonly keyPath: string;
  readonly options: VerifyOptions;
}

function readRequest(): Request {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      key: { type: 'string' },
      since: { type: 'string' },
      consistency: { type: 'string' },
      checkpoints: { type: 'string' },
      'retained-since': { type: 'string' },
    },
  });
  const { key, since, consistency, checkpoints, 'retained-since': retained } = values;
  const retainedSince = retained === undefined ? undefined : new Date(retained);
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0 || key === undefined) throw new Error('one EXPORT and a --key are needed');
  if (consistency !== undefined && since === undefined) throw new Error('--consistency goes with --since');
  if (Number.isNaN(retainedSince?.getTime())) throw new Error('--retained-since is not a time');
  const options: VerifyOptions = {
    retainedSince,
    since: since === undefined ? undefined : readFileSync(since, 'utf8'),
    consistency: consistency === undefined ? undefined : parseConsistency(readFileSync(consistency, 'utf8')),
    anchored: checkpoints === undefined ? undefined : readNotes(open(checkpoints)),
  };
  return { path, keyPath: key, options };
}

function open(path: string): AsyncIterable<Buffer> {
  if (path === '-') return process.stdin;
  statSync(path);
  return createReadStream(path, { highWaterMark: CHUNK_BYTES });
}

/** A bar on the terminal, where there is one. */
function progressOf(path: string): (bytes: number, lines: number) => void {
  const total = path === '-' ? undefined : statSync(path).size;
  const start = performance.now();
  let shown = start;
  return (bytes, lines) => {
    const now = performance.now();
    if (!process.stderr.isTTY || now - shown < REFRESH_MS) return;
    shown = now;
    const seconds = (now - start) / 1000;
    const rate = `${Math.round(lines / seconds).toLocaleString('en')} lines/s`;
    process.stderr.write(`\r\x1b[K${barOf(bytes, total, seconds)}, ${rate}`);
  };
}

function barOf(bytes: number, total: number | undefined, seconds: number): string {
  const read = (bytes / MEGABYTE).toFixed(0);
  if (total === undefined) return `${read} MB`;
  const done = Math.min(1, bytes / total);
  const bar = '#'.repeat(Math.round(done * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  const left = Math.ceil((seconds * (1 - done)) / done);
  return `[${bar}] ${read} of ${(total / MEGABYTE).toFixed(0)} MB, ${String(left)} s left`;
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

function summaryOf({ from, to, events, erased, checkpoint, span, since, anchored }: ProvedExport): string {
  const { origin, size, root, time, keys } = checkpoint;
  const signatures = keys.map(({ name, keyId, algorithm }) => `${algorithm} (${name}+${keyId})`).join(' and ');
  const whole = from === 0 && to === size ? 'the whole log' : `of ${String(size)}`;
  const rows = [
    ['log', origin],
    ['range', `leaves [${String(from)}, ${String(to)}), ${whole}: ${String(events)} events, ${String(erased)} erased`],
    ['events', span ? `from ${span[0].toISOString()} to ${span[1].toISOString()}` : 'none'],
    ['tree', `${String(size)} leaves, root ${root.toString('base64')}`],
    ['signed', `${time ? `${time.toISOString()}, ` : ''}by ${signatures}`],
    ['since', since ? `continues the checkpoint of ${String(since.size)} leaves` : undefined],
    ['anchored', anchored && anchoredText(anchored)],
  ];
  const shown = rows.filter(([, text]) => text !== undefined);
  return shown.map(([name, text]) => `  ${name!.padEnd(9)}${text!}\n`).join('');
}

function anchoredText({ held, outside, newer }: NonNullable<ProvedExport['anchored']>): string {
  return `${String(held)} checkpoints hold, ${String(outside)} are outside of the range, ${String(newer)} are newer`;
}

async function main(): Promise<number> {
  let request: Request | undefined;
  try {
    request = readRequest();
    const { path, keyPath, options } = request;
    const keys = parseVerifierKeys(readFileSync(keyPath, 'utf8'));
    const proved = await verifyExport(open(path), keys, { ...options, onProgress: progressOf(path) });
    clearProgress();
    console.log(`${path} holds:\n${summaryOf(proved)}`);
    return 0;
  } catch (error) {
    clearProgress();
    const { message } = error as Error;
    if (error instanceof ExportError) {
      console.error(`${request?.path ?? 'The export'} does not hold: ${message}`);
      return 1;
    }
    console.error(`${message}\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
