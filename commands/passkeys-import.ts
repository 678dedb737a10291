/**
 * Sends lines to `POST /v1/credentials/import`. `--help` describes the arguments.
 *
 * passkeys/import-lines.ts sends the lines and goes on after a break. This file reads the arguments, counts the verdicts and
 * writes down those that somebody must look at.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  openInput,
  type Program,
  ProgressLine,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import type { ImportedExport } from '../src/portability/import-frame.js';
import { importLines, ImportRefusal, type LineVerdict } from './passkeys/import-lines.js';
import { describeService, openService } from './service-login.js';

const PROGRAM = {
  command: 'npm run passkeys:import --',
  imageCommand: 'node dist/commands/passkeys-import.js',
  usage: [
    '--rp-id ID --url URL --cert FILE --cert-key FILE --ca FILE [--dry-run] [--first-line N] [--verdicts FILE] FILE|-',
  ],
  about:
    'Imports passkeys into the running service, from the lines that passkeys:read writes or from an export. Every line gets a verdict: imported, exists (it was imported before), or another one, which is named with its line. None of them stops the import. A line is imported only once, so the command may be run again. If the service restarts or the connection breaks, it goes on where it was. It takes a few megabytes of memory however long the file is.',
  operands: { FILE: 'Lines of JSON; - reads standard input.' },
  maxOperands: 1,
  options: {
    'rp-id': { value: 'ID', text: 'The relying party that the passkeys are of. It must exist.' },
    ...describeService('passkeys:import'),
    'dry-run': { text: 'Changes nothing and says what it would do.' },
    'first-line': { value: 'N', text: 'Passes over the lines before this one, which an earlier run has done.' },
    verdicts: {
      value: 'FILE',
      text: 'Writes the verdicts other than imported and exists to this file, as lines of JSON, instead of to standard error.',
    },
  },
  examples: [
    '--rp-id login.example.com --url https://localhost:8443 --cert operator.crt --cert-key operator.key --ca ca.crt --dry-run passkeys.ndjson',
  ],
  exitCodes: {
    [EXIT.done]: 'Every passkey is there, or would be.',
    [EXIT.failed]:
      'Lines got another verdict, the file is an export that is not whole, or the service stopped answering; the output says where to go on.',
    [EXIT.couldNotRun]:
      'The arguments are wrong, a file could not be read, or the service refused the import or could not be reached. Nothing was changed.',
  },
} as const satisfies Program;

type Values = Arguments<typeof PROGRAM.options>['values'];

const GOOD: ReadonlySet<string> = new Set(['imported', 'exists']);
/** Verdicts that are named one by one on standard error. More of them share a cause. */
const MAX_NAMED = 1_000;

const progress = new ProgressLine(200);

/** The verdicts of a run. */
class Verdicts {
  readonly counts = new Map<string, number>();
  lines = 0;
  lastLine = 0;
  readonly #start = performance.now();
  readonly #file: WriteStream | undefined;
  #named = 0;

  constructor(path: string | undefined) {
    this.#file = path === undefined ? undefined : createWriteStream(path, { mode: 0o600 });
  }

  get areGood(): boolean {
    return [...this.counts.keys()].every((verdict) => GOOD.has(verdict));
  }

  take(verdict: LineVerdict): void {
    this.lines += 1;
    this.lastLine = verdict.line;
    this.counts.set(verdict.verdict, (this.counts.get(verdict.verdict) ?? 0) + 1);
    if (!GOOD.has(verdict.verdict)) this.#name(verdict);
    progress.show(() => `line ${verdict.line.toLocaleString('en')}, ${this.#formatRate()}: ${this.format()}`);
  }

  format(): string {
    const counts = [...this.counts].map(([verdict, count]) => `${count.toLocaleString('en')} ${verdict}`);
    return counts.length === 0 ? 'no passkeys' : counts.join(', ');
  }

  async close(): Promise<void> {
    if (!this.#file) return;
    this.#file.end();
    await finished(this.#file);
  }

  #formatRate(): string {
    const seconds = (performance.now() - this.#start) / 1_000;
    return `${Math.round(this.lines / seconds).toLocaleString('en')} lines/s`;
  }

  #name(verdict: LineVerdict): void {
    this.#file?.write(`${JSON.stringify(verdict)}\n`);
    this.#named += 1;
    if (this.#file || this.#named > MAX_NAMED) return;
    progress.clear();
    console.error(formatVerdict(verdict));
    if (this.#named === MAX_NAMED) console.error('Further lines are only counted: give --verdicts FILE.');
  }
}

function formatVerdict({ line, credentialId, verdict, problem }: LineVerdict): string {
  const details = problem?.invalid?.map(({ detail }) => detail) ?? [];
  const why = [...details, ...(problem?.detail === undefined ? [] : [problem.detail])].join('; ');
  return `line ${String(line)}: ${verdict}${credentialId ? ` ${credentialId}` : ''}${why === '' ? '' : `: ${why}`}`;
}

function explainExport({ state, detail = '' }: ImportedExport): string {
  return `The file is an export that ${state === 'altered' ? 'was altered' : 'is cut off'}: ${detail}. Export again, or find out who had the file.`;
}

function readFirstLine({ 'first-line': text = '1' }: Values): number {
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new UsageError('--first-line is not the number of a line.');
  return Number(text);
}

async function run({ values, operands: [path] }: Arguments<typeof PROGRAM.options>): Promise<ExitCode> {
  const { 'rp-id': rpId, 'dry-run': dryRun } = values;
  if (rpId === undefined || path === undefined) throw new UsageError('Give --rp-id and one FILE.');
  const firstLine = readFirstLine(values);
  const service = openService(values);
  const chunks = openInput(path);
  const verdicts = new Verdicts(values.verdicts);
  let imported: ImportedExport = { state: 'whole' };
  const end = (code: ExitCode, message: string): ExitCode => {
    progress.clear();
    console.log(`${dryRun ? 'Without --dry-run: ' : ''}${verdicts.format()}`);
    if (message !== '') console.error(message);
    return code;
  };
  const explainBreak = (reason: string): string =>
    `${reason}. To go on, give --first-line ${String(Math.max(firstLine, verdicts.lastLine + 1))}.`;
  process.once('SIGINT', () => process.exit(end(EXIT.failed, explainBreak('Interrupted'))));
  try {
    const onRetry = (reason: string): void => {
      progress.show(`line ${String(verdicts.lastLine + 1)}: ${reason}; trying again`);
    };
    const onExport = (found: ImportedExport): void => {
      imported = found;
    };
    for await (const verdict of importLines(service, chunks, { rpId, dryRun, firstLine, onRetry, onExport }))
      verdicts.take(verdict);
    if (imported.state !== 'whole') return end(EXIT.failed, explainExport(imported));
    return end(verdicts.areGood ? EXIT.done : EXIT.failed, '');
  } catch (error) {
    if (verdicts.lines === 0) throw error;
    const { message } = error as Error;
    const reason =
      error instanceof ImportRefusal ? `The service refused: ${message}` : `The import stopped: ${message}`;
    return end(EXIT.failed, explainBreak(reason));
  } finally {
    service.close();
    await verdicts.close();
  }
}

const given = readArguments(PROGRAM);
try {
  process.exitCode = await run(given);
} catch (error) {
  progress.clear();
  const { message } = error as Error;
  if (error instanceof UsageError) reportUsage(PROGRAM, message);
  else console.error(`Nothing was imported: ${message}.`);
  process.exitCode = EXIT.couldNotRun;
}
