/**
 * Turns a dump of another product's table into lines of `POST /v1/credentials/import`. `--help` describes the arguments.
 *
 * passkeys/sources.ts knows the products, and passkeys/rows.ts reads the rows. This file reads the arguments, writes the lines and
 * names the rows that cannot be read.
 */
import { createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type Arguments,
  drawBar,
  EXIT,
  type ExitCode,
  openInput,
  type Program,
  ProgressLine,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import { readPasskeys, type Tally } from './passkeys/read-passkeys.js';
import { DumpError } from './passkeys/row.js';
import { CSV_COLUMNS, type SourceName, SOURCES } from './passkeys/sources.js';

const NAMES = Object.keys(SOURCES) as SourceName[];

const PROGRAM = {
  command: 'npm run passkeys:read --',
  imageCommand: 'node dist/commands/passkeys-read.js',
  usage: [`--from ${NAMES.join('|')} [--rp-id ID] [--out FILE] FILE…`],
  about:
    'Turns a dump of another product’s passkeys into lines for passkeys:import, on standard output. A dump is CSV with a header (psql: \\copy (SELECT …) TO passkeys.csv CSV HEADER), a JSON array, or JSON objects one after another, in UTF-8. A row that cannot be read is named by its line on standard error, and stops nothing. docs/portability-readers.md has the statement that dumps each table.',
  operands: { FILE: 'A dump; - reads standard input.' },
  maxOperands: 10_000,
  options: {
    from: { value: 'SOURCE', text: `What the dump is of: ${NAMES.join(', ')}.` },
    'rp-id': { value: 'ID', text: 'Leaves out the rows of other relying parties, if the dump has a column rp_id.' },
    out: {
      value: 'FILE',
      text: 'Writes the lines to this file. On standard output, npm run adds lines of its own unless it is called with --silent.',
    },
  },
  members: CSV_COLUMNS,
  examples: ['--from hanko --out passkeys.ndjson hanko.csv'],
  exitCodes: {
    [EXIT.done]: 'Every passkey is in the output.',
    [EXIT.failed]: 'Rows could not be read; standard error names them. The others are in the output.',
    [EXIT.couldNotRun]:
      'The arguments are wrong, or a file could not be read or lacks columns. What is on standard output is not whole; --out leaves its file as it was.',
  },
} as const satisfies Program;

/** Faults that are named one by one. More of them share a cause. */
const MAX_NAMED = 1_000;

const progress = new ProgressLine(200);

function readSource({ from }: Arguments<typeof PROGRAM.options>['values']): SourceName {
  const source = NAMES.find((name) => name === from);
  if (source === undefined) throw new UsageError(`Give --from with one of ${NAMES.join(', ')}.`);
  return source;
}

async function run({ values, operands }: Arguments<typeof PROGRAM.options>): Promise<ExitCode> {
  const source = readSource(values);
  if (operands.length === 0) throw new UsageError('Give a FILE.');
  const missing = operands.find((path) => path !== '-' && !existsSync(path));
  if (missing !== undefined)
    throw new Error(`There is no file ${missing}: dump the table into it first (docs/portability-readers.md)`);
  const total: Tally = { rows: 0, passkeys: 0, faults: 0, others: 0 };
  const lines = Readable.from(writeLines(operands, source, values['rp-id'], total));
  if (values.out === undefined) await pipeline(lines, process.stdout, { end: false });
  else await writeWhole(values.out, lines);
  progress.clear();
  console.error(formatTally(total));
  return total.faults === 0 ? EXIT.done : EXIT.failed;
}

/** Writes a file beside, which gets the name at the end: a run that fails leaves what was there before. */
async function writeWhole(path: string, lines: Readable): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await pipeline(lines, createWriteStream(partial, { mode: 0o600 }));
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/** @throws DumpError that names the file */
async function* writeLines(
  paths: readonly string[],
  source: SourceName,
  rpId: string | undefined,
  tally: Tally,
): AsyncGenerator<string> {
  for (const path of paths) {
    const onFault = (line: number, fault: string): void => {
      progress.clear();
      if (tally.faults <= MAX_NAMED) console.error(`${path}:${String(line)}: ${fault}`);
      else if (tally.faults === MAX_NAMED + 1) console.error('Further rows that cannot be read are only counted.');
    };
    const onIgnored = (columns: readonly string[]): void => {
      progress.clear();
      console.error(`${path}: columns that are not read: ${columns.join(', ')}`);
    };
    try {
      for await (const line of readPasskeys(countBytes(path, tally), { source, rpId, tally, onFault, onIgnored }))
        yield `${JSON.stringify(line)}\n`;
    } catch (error) {
      if (!(error instanceof DumpError)) throw error;
      throw new DumpError(`${path} ${error.message}`);
    }
  }
}

/** Shows the progress in a file. */
async function* countBytes(path: string, tally: Tally): AsyncGenerator<Buffer> {
  const total = path === '-' ? undefined : statSync(path).size;
  let bytes = 0;
  for await (const chunk of openInput(path)) {
    yield chunk;
    bytes += chunk.length;
    progress.show(() => `${total ? `${drawBar(bytes / total)} ` : ''}${path}: ${formatTally(tally)}`);
  }
}

function formatTally({ rows, passkeys, faults, others }: Tally): string {
  const parts = [
    count(passkeys, 'passkey'),
    ...(faults > 0 ? [`${faults.toLocaleString('en')} that cannot be read`] : []),
    ...(others > 0 ? [`${others.toLocaleString('en')} left out`] : []),
  ];
  return `${count(rows, 'row')}: ${parts.join(', ')}`;
}

const count = (number: number, what: string): string =>
  `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`;

const given = readArguments(PROGRAM);
try {
  process.exitCode = await run(given);
} catch (error) {
  progress.clear();
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof UsageError) reportUsage(PROGRAM, message);
  // The reader of the output has gone.
  else if (code !== 'EPIPE') console.error(`${message}.`);
  process.exitCode = EXIT.couldNotRun;
}
