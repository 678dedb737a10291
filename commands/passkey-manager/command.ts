import { PasskeyManager } from '../../clients/typescript/src/client.ts';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  type Option,
  type Options,
  parseArguments,
  type Program,
  UsageError,
} from '../command-line.js';
import { describeService } from '../service-login.js';
import { LOGIN_ENVIRONMENT, readLogin } from './login.js';
import { type Format, FORMATS, type Io, Printer } from './printer.js';

export const NAME = 'passkey-manager';

/** A sub-command, and what of it the help and the completion of shells show. */
export interface Command {
  /** Such as `users` and `show`. */
  readonly words: readonly string[];
  readonly program: Program;
  /** @throws UsageError and what the command can't cope with */
  run(args: readonly string[], io: Io): Promise<ExitCode>;
}

/** What a command that calls the service works with. */
export interface Session {
  readonly client: PasskeyManager;
  readonly printer: Printer;
  /** Ends when the user presses Ctrl-C. */
  readonly signal: AbortSignal;
}

type Parts<Given extends Options> = Omit<Program<Given>, 'command' | 'imageCommand' | 'exitCodes'> & {
  readonly exitCodes?: Program['exitCodes'];
};

/** A command that does not call the service. */
export function defineCommand<const Given extends Options>(
  words: readonly string[],
  parts: Parts<Given>,
  run: (given: Arguments<Given>, io: Io) => ExitCode | Promise<ExitCode>,
): Command {
  const exitCodes = parts.exitCodes ?? {
    [EXIT.done]: 'Done.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a file could not be read.',
  };
  const program = { ...parts, command: [NAME, ...words].join(' '), exitCodes };
  return { words, program, run: async (args, io) => run(parseArguments(program, args), io) };
}

export const OUTPUT = {
  value: FORMATS.join('|'),
  short: 'o',
  text: 'What to print: a table for a person (the default), or JSON for a program.',
} as const;

const AS = {
  value: 'NAME',
  text: 'In development, the identity whose generated certificate is used, such as operator. It stands for the four options before.',
} as const;

type ServiceOptions = ReturnType<typeof describeService> & { readonly as: typeof AS; readonly output: typeof OUTPUT };

/** A command that calls the service. @param needs the permissions that its identity needs */
export function defineServiceCommand<const Given extends Options>(
  words: readonly string[],
  { needs, ...parts }: Parts<Given> & { readonly needs: string },
  run: (given: Arguments<Given & ServiceOptions>, session: Session) => Promise<ExitCode>,
): Command {
  const options = { ...parts.options, ...describeService(needs), as: AS, output: OUTPUT } as Given & ServiceOptions;
  const exitCodes = {
    [EXIT.done]: 'Done.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a file could not be read.',
    [EXIT.refused]: 'The service refused it, and the output says why.',
    [EXIT.unreachable]: 'The service could not be reached, or could not do its work.',
    ...parts.exitCodes,
  };
  const environment = { ...LOGIN_ENVIRONMENT, ...parts.environment };
  return defineCommand(words, { ...parts, options, environment, exitCodes }, async (given, io) => {
    const values = given.values as Readonly<Record<string, string | undefined>>;
    const printer = new Printer(readFormat(values['output'], io), io);
    const client = new PasskeyManager(readLogin(values, io.env));
    const interruption = new AbortController();
    const forget = io.onInterrupt(() => {
      interruption.abort();
    });
    try {
      return await run(given, { client, printer, signal: interruption.signal });
    } finally {
      forget();
      client.close();
    }
  });
}

/** @throws UsageError */
export function readFormat(given: string | undefined, { env }: Io): Format {
  return readChoice('--output', given ?? env['PASSKEY_MANAGER_OUTPUT'], FORMATS) ?? 'table';
}

/** @throws UsageError that lists the choices */
export function readChoice<const Choice extends string>(
  name: string,
  value: string | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  if (value === undefined || (choices as readonly string[]).includes(value)) return value as Choice | undefined;
  throw new UsageError(`${name} must be one of ${choices.join(', ')}.`);
}

/** @throws UsageError */
export function readCount(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^(0|[1-9]\d{0,14})$/.test(value)) throw new UsageError(`${name} must be a whole number.`);
  return Number(value);
}

/** @throws UsageError that names what is missing */
export function demand(name: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new UsageError(`Give ${name}.`);
  return value;
}

export const RP: Option & { readonly value: 'RPID' } = {
  value: 'RPID',
  text: 'The relying party, such as login.example.com.',
};
export const REASON = { value: 'TEXT', text: 'Why. The audit log keeps it.' } as const;
