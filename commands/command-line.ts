/**
 * The command line that all programs share. A program describes itself in one `Program` object. From it come the parser
 * (`readArguments`), the text of `--help`, and the usage that follows a wrong argument. `ProgressLine` shows progress on a
 * terminal. docs/runbook.md lists the exit codes of every program.
 *
 * `--help` or `-h` prints to standard output and ends with 0. A wrong argument prints a sentence and the usage to standard error
 * and ends with 2.
 */
import { createReadStream, statSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** The exit codes of every program. */
export const EXIT = {
  done: 0,
  /** The evidence does not verify, or a part of the work failed. */
  failed: 1,
  couldNotRun: 2,
  /** The evidence verifies, but some of it is about more than was verified. */
  notCovered: 3,
  /** The service refused what was asked. */
  refused: 4,
  /** No answer came, or the service could not do its work. What was asked may be done or not. */
  unreachable: 5,
  /** A second identity must approve first. Nothing was changed. */
  waitsForApproval: 6,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An option of a program. One without a `value` is a flag. */
export interface Option {
  /** The word for its value in the help, such as `FILE`. */
  readonly value?: string;
  /** Says in a sentence what the option does. */
  readonly text: string;
  readonly multiple?: boolean;
  /** A letter that stands for the name. */
  readonly short?: string;
}

export type Options = Readonly<Record<string, Option>>;

export interface Program<Given extends Options = Options> {
  /** The command in the repository, such as `npm run audit:verify --`. */
  readonly command: string;
  /** The command in the image, for the programs that it holds. */
  readonly imageCommand?: string;
  /** The arguments after the command, one line for each way to call the program. */
  readonly usage: readonly string[];
  /** Says what the program does, in a few sentences. */
  readonly about: string;
  /** The arguments that are not options, by the word that stands for them in the usage. */
  readonly operands?: Readonly<Record<string, string>>;
  /** The most operands that a call may have. */
  readonly maxOperands?: number;
  readonly options: Given;
  /** The members of an object in the input. */
  readonly members?: Readonly<Record<string, string>>;
  /** The environment variables that the program reads. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The arguments of examples. */
  readonly examples: readonly string[];
  /** Says what each exit code means for this program. */
  readonly exitCodes: Readonly<Partial<Record<ExitCode, string>>>;
}

type Value<Given extends Option> = Given extends { readonly multiple: true }
  ? readonly string[]
  : Given extends { readonly value: string }
    ? string | undefined
    : boolean;

export interface Arguments<Given extends Options> {
  readonly values: { readonly [Name in keyof Given]: Value<Given[Name]> };
  readonly operands: readonly string[];
}

/** A program was called in a wrong way. The message is one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Parses arguments. @throws UsageError */
export function parseArguments<Given extends Options>(
  program: Program<Given>,
  args: readonly string[],
): Arguments<Given> {
  const options = Object.fromEntries(
    Object.entries<Option>(program.options).map(([name, { value, short }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: true as const,
        ...(short !== undefined && { short }),
      },
    ]),
  );
  const { values, positionals } = parseOrRefuse(args, options);
  refuseSurplus(program, positionals);
  const given = Object.fromEntries(
    Object.entries<Option>(program.options).map(([name, { value, multiple }]): [string, unknown] => {
      const all = values[name] ?? [];
      if (multiple) return [name, all];
      if (value !== undefined && all.length > 1) throw new UsageError(`--${name} may be given only once.`);
      return [name, all[0] ?? (value === undefined ? false : undefined)];
    }),
  );
  return { values: given as Arguments<Given>['values'], operands: positionals };
}

function refuseSurplus({ operands = {}, maxOperands }: Program, given: readonly string[]): void {
  const names = Object.keys(operands);
  const surplus = given[maxOperands ?? names.length];
  if (surplus === undefined) return;
  const rule = names.length > 0 && (maxOperands ?? names.length) === 1 ? `Give one ${names.join(' or ')}: ` : '';
  throw new UsageError(`${rule}'${surplus}' is one argument too many.`);
}

function parseOrRefuse(
  args: readonly string[],
  options: Record<string, { type: 'boolean' | 'string'; multiple: true; short?: string }>,
): { values: Record<string, (string | boolean)[] | undefined>; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    const [sentence = ''] = (error as Error).message.split(/\. |\n/, 1);
    throw new UsageError(sentence.endsWith('.') ? sentence : `${sentence}.`);
  }
}

/** Parses the arguments of this process. Ends the process after `--help` or a wrong argument. */
export function readArguments<Given extends Options>(program: Program<Given>): Arguments<Given> {
  const args = process.argv.slice(2);
  if (asksForHelp(args)) {
    process.stdout.write(formatHelp(program));
    process.exit(EXIT.done);
  }
  return exitOnUsageError(program, () => parseArguments(program, args));
}

/** True if `--help` or `-h` is among the options. */
export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h');
}

/** Runs a function, and ends the process if the function finds that an argument is wrong. */
export function exitOnUsageError<Result>(program: Program, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    reportUsage(program, error.message);
    process.exit(EXIT.couldNotRun);
  }
}

/** Prints a sentence and the usage to standard error. */
export function reportUsage(program: Program, message: string): void {
  console.error(`${message}\n${formatUsage(program)}`);
}

export function formatUsage({ command, usage }: Program): string {
  return usage
    .map(
      (line, index) => `${index === 0 ? 'usage:' : '      '} ${`${command} ${line}`.replace(/ --\s*$/, '').trimEnd()}`,
    )
    .join('\n');
}

/** Formats the text of `--help`. */
export function formatHelp(program: Program): string {
  const {
    command,
    imageCommand,
    about,
    operands = {},
    options,
    members = {},
    environment = {},
    examples,
    exitCodes,
  } = program;
  const optionRows = Object.entries(options).map(
    ([name, { value, text, short }]) =>
      [`--${name}${short === undefined ? '' : `, -${short}`}${value === undefined ? '' : ` ${value}`}`, text] as const,
  );
  const sections: [title: string, rows: readonly (readonly [string, string])[]][] = [
    ['Arguments', Object.entries(operands)],
    ['Options', [...optionRows, ['--help, -h', 'Prints this text.']]],
    ['Members', Object.entries(members)],
    ['Environment', Object.entries(environment)],
    ['Exit codes', Object.entries(exitCodes)],
  ];
  return [
    formatUsage(program),
    ...(imageCommand === undefined ? [] : [`In the image: ${imageCommand}`]),
    '',
    wrapText(about, 0),
    ...sections.filter(([, rows]) => rows.length > 0).map(([title, rows]) => `\n${title}:\n${formatRows(rows)}`),
    `\nExamples:\n${examples.map((line) => `  ${`${command} ${line}`.replace(/ (-- *)?$/, '')}`).join('\n')}`,
    '',
  ].join('\n');
}

const LINE_WIDTH = 100;

function formatRows(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${wrapText(text, width + 4)}`).join('\n');
}

/** Breaks a text into lines. @param indent the spaces before every line but the first */
function wrapText(text: string, indent: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + word.length < LINE_WIDTH - indent)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

const CHUNK_BYTES = 2 ** 20;

/** Opens a file, or standard input for `-`. @throws Error if there is no such file */
export function openInput(path: string): AsyncIterable<Buffer> {
  if (path === '-') return process.stdin;
  statSync(path);
  return createReadStream(path, { highWaterMark: CHUNK_BYTES });
}

const ERASE_LINE = '\r\x1b[K';
const BAR_WIDTH = 24;

/** A line on standard error that shows progress, if standard error is a terminal. */
export class ProgressLine {
  readonly #refreshMs: number;
  #shownAt = -Infinity;

  /** @param refreshMs the shortest time between two texts; texts in between are dropped */
  constructor(refreshMs = 0) {
    this.#refreshMs = refreshMs;
  }

  /** Replaces the text of the line. */
  show(text: string | (() => string)): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#shownAt < this.#refreshMs) return;
    this.#shownAt = now;
    process.stderr.write(`${ERASE_LINE}${typeof text === 'string' ? text : text()}`);
  }

  /** Replaces the text of the line, or prints a line to a log. */
  showMilestone(text: string): void {
    if (process.stderr.isTTY) this.show(text);
    else console.error(text);
  }

  /** Removes the line, so that other output can follow. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write(ERASE_LINE);
  }
}

/** Draws a bar. @param done the finished part, from 0 to 1 */
export function drawBar(done: number): string {
  return `[${'#'.repeat(Math.round(done * BAR_WIDTH)).padEnd(BAR_WIDTH, '.')}]`;
}
