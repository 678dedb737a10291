/** Proves an export of the audit log, or one event of it, and prints what that proves. The verifier itself is src/tlog. */
import { readFileSync, statSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { readNotes } from '../src/tlog/checkpoint-trail.js';
import { ExportError } from '../src/tlog/lines.js';
import { parseConsistency, type ProvedEvent, verifyEvent } from '../src/tlog/proof-documents.js';
import type { SignedCheckpoint } from '../src/tlog/checkpoint.js';
import { type ProvedExport, verifyExport, type VerifyOptions } from '../src/tlog/export-verifier.js';
import {
  type Arguments,
  drawBar,
  EXIT,
  type ExitCode,
  openInput,
  type Program,
  ProgressLine,
  UsageError,
} from './command-line.js';
import { KEY_TEXT, type KeyFiles, readKeyFiles } from './key-files.js';

/** The program, and `passkey-manager audit verify`. */
export const VERIFY = {
  command: 'npm run audit:verify --',
  imageCommand: 'node dist/commands/audit-verify.js',
  usage: [
    'EXPORT|- --key FILE… [--since CHECKPOINT [--consistency PROOF]] [--checkpoints NOTES]… [--retained-since RFC3339]',
    'EVENT|- --key FILE… --proof PROOF',
  ],
  about: 'Proves an export of the audit log, or that one event is in the log. It needs no database and no network.',
  operands: {
    EXPORT: 'The answer of GET /v1/audit/export; - reads standard input.',
    EVENT: 'The answer of GET /v1/audit/events/{id}, or the line of the event in an export; - reads standard input.',
  },
  maxOperands: 1,
  options: {
    key: {
      value: 'FILE',
      text: KEY_TEXT,
      multiple: true,
    },
    proof: { value: 'PROOF', text: 'The proof of EVENT: the answer of GET /v1/audit/events/{id}/proof.' },
    since: { value: 'CHECKPOINT', text: 'An earlier checkpoint, which the log must continue.' },
    consistency: {
      value: 'PROOF',
      text: 'The answer of GET /v1/audit/consistency from the size of CHECKPOINT to the size of this tree. It is needed if the earlier size is outside the exported range.',
    },
    checkpoints: {
      value: 'NOTES',
      text: 'Checkpoints that were signed over time, one after another. They reveal a log that was signed again, and narrow down which lines were altered. Give the option once for each replica’s file: two files in one look like a log that was cut. The export covers those of its own size and below. Copy a file that still grows before you export: then the export covers all of it.',
      multiple: true,
    },
    'retained-since': { value: 'RFC3339', text: 'A time. No event from this time on may be erased.' },
  },
  examples: [
    'export.ndjson --key audit.pub --checkpoints notes',
    'export.ndjson --key audit.pub --checkpoints notes-of-a --checkpoints notes-of-b',
    'export.ndjson --key audit-2025.pub --key audit.pub --checkpoints notes',
    'event.json --key audit.pub --proof proof.json',
  ],
  exitCodes: {
    [EXIT.done]: 'It verifies, and the output says what it proves.',
    [EXIT.failed]: 'It does not verify, and the output names the first line that does not.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a file could not be read.',
    [EXIT.notCovered]:
      'The export verifies, but checkpoints of NOTES are newer. The export cannot show if the log was cut after its end.',
  },
} as const satisfies Program;

const MEGABYTE = 1e6;
const progress = new ProgressLine(200);

interface Request {
  readonly path: string;
  readonly keys: KeyFiles;
  /** The file of the event's proof; undefined for an export. */
  readonly proof: string | undefined;
  readonly options: VerifyOptions;
}

/** What is proved, for a person. */
interface Verdict {
  readonly text: string;
  readonly exitCode: ExitCode;
}

/** @throws Error that says which argument is wrong, or which file could not be read */
function readRequest({ values, operands: [path] }: Arguments<typeof VERIFY.options>): Request {
  const { key, proof, since, consistency, checkpoints, 'retained-since': retained } = values;
  if (path === undefined || key.length === 0) throw new UsageError('Give one EXPORT or EVENT and a --key.');
  if (proof !== undefined && [since, consistency, checkpoints[0], retained].some((value) => value !== undefined))
    throw new UsageError('--proof allows only an EVENT and --key.');
  if (consistency !== undefined && since === undefined) throw new UsageError('--consistency requires --since.');
  const retainedSince = retained === undefined ? undefined : new Date(retained);
  if (Number.isNaN(retainedSince?.getTime())) throw new UsageError('--retained-since is not a time.');
  const options: VerifyOptions = {
    retainedSince,
    since: since === undefined ? undefined : readFileSync(since, 'utf8'),
    consistency: consistency === undefined ? undefined : parseConsistency(readFileSync(consistency, 'utf8')),
    anchored: checkpoints.map((file) => readNotes(openInput(file))),
  };
  const keys = readKeyFiles(key);
  return { path, keys, proof, options: { ...options, former: keys.former } };
}

async function verify({ path, keys: { keys, former }, proof, options }: Request): Promise<Verdict> {
  if (proof !== undefined) {
    const event = (await buffer(openInput(path))).toString('utf8');
    const proved = verifyEvent(event, readFileSync(proof, 'utf8'), keys, former);
    return { text: formatProvedEvent(proved), exitCode: EXIT.done };
  }
  const proved = await verifyExport(openInput(path), keys, { ...options, onProgress: showProgress(path) });
  progress.clear();
  const isCovered = !proved.anchored || proved.anchored.newer === 0;
  return { text: formatExport(proved), exitCode: isCovered ? EXIT.done : EXIT.notCovered };
}

/** Shows a progress bar on standard error if it is a terminal. */
function showProgress(path: string): (bytes: number, lines: number) => void {
  const total = path === '-' ? undefined : statSync(path).size;
  const start = performance.now();
  return (bytes, lines) => {
    progress.show(() => {
      const seconds = (performance.now() - start) / 1000;
      return `${formatBytes(bytes, total, seconds)}, ${Math.round(lines / seconds).toLocaleString('en')} lines/s`;
    });
  };
}

function formatBytes(bytes: number, total: number | undefined, seconds: number): string {
  const read = (bytes / MEGABYTE).toFixed(0);
  if (total === undefined) return `${read} MB`;
  const done = Math.min(1, bytes / total);
  const left = Math.ceil((seconds * (1 - done)) / done);
  return `${drawBar(done)} ${read} of ${(total / MEGABYTE).toFixed(0)} MB, ${String(left)} s left`;
}

function formatExport({ from, to, events, erased, checkpoint, span, since, anchored }: ProvedExport): string {
  const { origin, size, root } = checkpoint;
  const whole = from === 0 && to === size ? 'the whole log' : `of ${String(size)}`;
  const rows: [string, string | undefined][] = [
    ['log', origin],
    ['range', `leaves [${String(from)}, ${String(to)}), ${whole}: ${String(events)} events, ${String(erased)} erased`],
    ['events', span ? `from ${span[0].toISOString()} to ${span[1].toISOString()}` : 'none'],
    ['tree', `${String(size)} leaves, root ${root.toString('base64')}`],
    ['signed', formatSignatures(checkpoint)],
    ['since', since ? `continues the checkpoint of ${String(since.size)} leaves` : undefined],
    ['anchored', anchored && formatAnchored(anchored)],
    ['newer', anchored && anchored.newer > 0 ? formatNewer(anchored.newer) : undefined],
  ];
  return formatTable(rows);
}

function formatProvedEvent({ leafIndex, id, type, time, pseudonym, checkpoint }: ProvedEvent): string {
  const { origin, size, root } = checkpoint;
  return formatTable([
    ['log', origin],
    ['event', `${id}, ${type}, of ${time}`],
    ['place', `leaf ${String(leafIndex)} of ${String(size)}`],
    ['user', pseudonym && `pseudonym ${pseudonym}; nothing proves which user id it stands for`],
    ['tree', `root ${root.toString('base64')}`],
    ['signed', formatSignatures(checkpoint)],
  ]);
}

function formatSignatures({ time, keys }: SignedCheckpoint): string {
  const signatures = keys.map(({ name, keyId, algorithm }) => `${algorithm} (${name}+${keyId})`).join(' and ');
  return `${time ? `${time.toISOString()}, ` : ''}by ${signatures}`;
}

function formatTable(rows: readonly (readonly [string, string | undefined])[]): string {
  const shown = rows.filter(([, text]) => text !== undefined);
  return shown.map(([name, text]) => `  ${name.padEnd(9)}${text!}\n`).join('');
}

function formatAnchored({ held, outside, newer }: NonNullable<ProvedExport['anchored']>): string {
  return `${String(held)} checkpoints match, ${String(outside)} are outside the range, ${String(newer)} are newer`;
}

function formatNewer(count: number): string {
  const subject = count === 1 ? '1 checkpoint is' : `${String(count)} checkpoints are`;
  return `${subject} newer, not covered by this export: compare a later export with all of them`;
}

/** Verifies an export or an event, and prints what that proves. @throws UsageError, Error that names a file */
export async function verifyExportFile(given: Arguments<typeof VERIFY.options>): Promise<ExitCode> {
  try {
    const request = readRequest(given);
    const { text, exitCode } = await verify(request);
    console.log(`${request.path} verifies:\n${text}`);
    return exitCode;
  } catch (error) {
    progress.clear();
    if (!(error instanceof ExportError)) throw error;
    console.error(`${given.operands[0] ?? 'The export'} does not verify: ${error.message}`);
    return EXIT.failed;
  }
}
