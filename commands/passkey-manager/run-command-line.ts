import { VERSION } from '../../src/telemetry/version.js';
import {
  asksForHelp,
  EXIT,
  type ExitCode,
  formatHelp,
  formatUsage,
  parseArguments,
  type Program,
  UsageError,
} from '../command-line.js';
import { type Command, NAME } from './command.js';
import { COMMANDS } from './commands.js';
import { makeCompletion } from './completion.js';
import { describeFailure } from './failure.js';
import { LOGIN_ENVIRONMENT } from './login.js';
import type { Io } from './printer.js';

const ALL: readonly Command[] = [...COMMANDS, makeCompletion(COMMANDS)];

const PROGRAM = {
  command: NAME,
  usage: ['COMMAND …', 'COMMAND --help', '--help | --version'],
  about:
    'Does what operators and auditors do at the service, over mutual TLS with their own certificate. The access policy decides what it may do, and the audit log records it. In the repository: npm run passkey-manager -- COMMAND …',
  operands: Object.fromEntries(ALL.map(({ words, program }) => [words.join(' '), summarize(program)])),
  options: { version: { text: 'Prints the version.' } },
  environment: { ...LOGIN_ENVIRONMENT, NO_COLOR: 'Colours only show on a terminal, and never with this variable.' },
  examples: [
    'whoami --as operator',
    'users show ada --rp login.example.com',
    'credentials revoke 01955121-3872-7fa2-94f9-ac2b3d0ef516 --reason "the phone is stolen"',
    'policy check login.yaml',
    'audit tail --outcome failure',
  ],
  exitCodes: {
    [EXIT.done]: 'Done.',
    [EXIT.failed]: 'It says no: settings differ or would refuse passkeys, a log does not verify, a key has ended.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a file could not be read.',
    [EXIT.notCovered]: 'An export verifies, but checkpoints are newer.',
    [EXIT.refused]: 'The service refused it, and the output says why.',
    [EXIT.unreachable]: 'The service could not be reached, or could not do its work.',
    [EXIT.waitsForApproval]: 'A second identity must approve it first. Nothing is changed yet.',
  },
} as const satisfies Program;

/** The first sentence of what a program does. */
function summarize({ about }: Pick<Program, 'about'>): string {
  return /^.*?\.(?= [A-Z]|$)/.exec(about)?.[0] ?? about;
}

/** Finds the command whose words the arguments begin with. */
function findCommand(args: readonly string[]): Command | undefined {
  return ALL.find(({ words }) => words.every((word, at) => args[at] === word));
}

/** The commands that begin with a word, as one program for its help. */
function describeGroup(first: string): Program | undefined {
  const commands = ALL.filter(({ words }) => words[0] === first);
  if (commands.length === 0) return undefined;
  return {
    ...PROGRAM,
    command: `${NAME} ${first}`,
    usage: commands.map(({ words, program: { usage } }) => `${words.slice(1).join(' ')} ${usage[0] ?? ''}`),
    operands: Object.fromEntries(commands.map(({ words, program }) => [words.slice(1).join(' '), summarize(program)])),
    options: {},
    examples: commands.map(({ words, program: { examples } }) => `${words.slice(1).join(' ')} ${examples[0] ?? ''}`),
  };
}

/** Answers what is no command: a question for help, or a mistake. @throws UsageError */
function answer(args: readonly string[], { stdout, stderr }: Io): ExitCode {
  const [first] = args;
  const group = first === undefined ? undefined : describeGroup(first);
  if (asksForHelp(args) || first === undefined) {
    stdout.write(formatHelp(group ?? PROGRAM));
    return first === undefined ? EXIT.couldNotRun : EXIT.done;
  }
  if (first.startsWith('-')) {
    const { values } = parseArguments({ ...PROGRAM, operands: {} }, args);
    if (values.version) stdout.write(`${VERSION}\n`);
    return EXIT.done;
  }
  const unknown = group ? args[1] : first;
  const where = group ? `${NAME} ${first}` : NAME;
  const mistake =
    unknown === undefined ? `${where} needs a word after it.` : `'${unknown}' is not a command of ${where}.`;
  stderr.write(`${mistake}\n${formatUsage(group ?? PROGRAM)}\n`);
  return EXIT.couldNotRun;
}

/** Runs the command that the arguments name. @returns its exit code; undefined if Ctrl-C ended it before its end */
export async function runCommandLine(args: readonly string[], io: Io): Promise<ExitCode | undefined> {
  const command = findCommand(args);
  const program = command?.program ?? PROGRAM;
  try {
    if (!command) return answer(args, io);
    const rest = args.slice(command.words.length);
    if (!asksForHelp(rest)) return await command.run(rest, io);
    io.stdout.write(formatHelp(program));
    return EXIT.done;
  } catch (error) {
    if ((error as Error).name === 'AbortError') return undefined;
    const { text, exitCode } = describeFailure(error);
    io.stderr.write(`${text}\n${error instanceof UsageError ? `${formatUsage(program)}\n` : ''}`);
    return exitCode;
  }
}
