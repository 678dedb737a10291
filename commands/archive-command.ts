import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { NoteError } from '../src/tlog/signed-note.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { type Arguments, drawBar, EXIT, type Program, ProgressLine, UsageError } from './command-line.js';
import { describeLogin, readLogin } from './database-login.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import { DatabaseUnreachableError, findSqlState } from '../src/http/database-unavailable.js';
import { ArchiveError } from './audit-archive/closed-partitions.js';
import type { ArchivedMonth, ArchiveRequest } from './audit-archive/log-archiver.js';

const OWNER = 'the role that owns its schema';
const DEFAULT_DIRECTORY = 'audit-archive';

export const PROGRAM = {
  command: 'npm run audit:archive --',
  imageCommand: 'node dist/commands/audit-archive.js',
  usage: ['--before YYYY-MM-DD --key FILE [--to DIRECTORY] [--dry-run]'],
  about:
    'Moves whole months of the audit log out of the database into files, as the role that owns the schema. It proves each file before it deletes the rows of the month. If it is stopped, the next run continues.',
  options: {
    before: { value: 'YYYY-MM-DD', text: 'Archives the months that end before this day. The last three months stay.' },
    key: {
      value: 'FILE',
      text: 'The verifier keys, one a line (GET /v1/audit/key). Every one of them must have signed.',
    },
    to: { value: 'DIRECTORY', text: `The directory of the files; ${DEFAULT_DIRECTORY} without this option.` },
    'dry-run': { text: 'Says what would be archived, and changes nothing.' },
  },
  environment: describeLogin(OWNER),
  examples: ['--before 2026-01-01 --key audit.pub --to /archive'],
  exitCodes: {
    [EXIT.done]: 'Every month before the day is archived.',
    [EXIT.failed]: 'The command could not finish. Months that it has archived stay archived.',
    [EXIT.couldNotRun]: 'The arguments or the environment are wrong, or the keys could not be read. Nothing was done.',
  },
} as const satisfies Program;

/** At least this many months stay available for analysis (PCI DSS 4.0.1 10.5.1). */
const MONTHS_ONLINE = 3;

export interface ArchiveCommand extends Pick<ArchiveRequest, 'before' | 'directory' | 'keys'> {
  readonly url: string;
  readonly passwordFile: string | undefined;
  readonly dryRun: boolean;
}

/** @throws UsageError, or ArchiveError if the keys are wrong */
export function readArchiveCommand(
  { before, key, to = DEFAULT_DIRECTORY, 'dry-run': dryRun }: Arguments<typeof PROGRAM.options>['values'],
  env: NodeJS.ProcessEnv,
  now: Date,
): ArchiveCommand {
  const login = readLogin(env, OWNER);
  if (before === undefined || key === undefined) throw new UsageError('Give --before and --key.');
  const request = { before: readBefore(before, now), directory: resolve(to), keys: readKeys(key) };
  return { ...request, ...login, dryRun };
}

function readBefore(text: string, now: Date): Date {
  const before = new Date(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(before.getTime())) {
    throw new UsageError(`--before ${text} is not a date like 2026-01-31.`);
  }
  const latest = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - MONTHS_ONLINE, now.getUTCDate()));
  if (before <= latest) return before;
  const [months, shown] = [String(MONTHS_ONLINE), latest.toISOString().slice(0, 10)];
  throw new UsageError(
    `The last ${months} months stay in the database (PCI DSS 10.5.1): --before is at most ${shown}.`,
  );
}

function readKeys(path: string): ArchiveRequest['keys'] {
  try {
    return parseVerifierKeys(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof NoteError) throw new ArchiveError(`--key ${path}: ${error.message}`);
    throw error;
  }
}

export const progress = new ProgressLine(200);

export const showProgress: NonNullable<ArchiveRequest['onProgress']> = (step, leaves, of) => {
  const bar = drawBar(of === 0 ? 1 : leaves / of);
  progress.show(() => `${bar} ${step} ${leaves.toLocaleString('en')} of ${of.toLocaleString('en')}`);
};

/** Describes what was done with a month, or what would be done. */
export function describeMonth({ partition, extent: { events, from, to }, path, file }: ArchivedMonth): string {
  const what = `${events.toLocaleString('en')} events, leaves [${String(from)}, ${String(to)})`;
  const sha256 = file ? `, proved, SHA-256 ${file.digest.toString('hex')}` : '';
  return `${partition.name}: ${what} ${file ? 'are in' : 'would go to'} ${path}${sha256}`;
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENOENT: 'it does not exist',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  EEXIST: 'it exists and is not a directory',
};

/**
 * Describes an error for the operator: an expected one in one line, any other with everything that is known about it.
 */
export function describeFailure(error: unknown): string {
  if (error instanceof ArchiveError) return error.message;
  if (error instanceof DatabaseUnreachableError || findSqlState(error)) return describeProgramFailure(error);
  const { code = '', path, syscall = '', message, stack } = error as NodeJS.ErrnoException;
  const told = FILE_ERRORS[code];
  if (told !== undefined) return `${path ?? 'The archive'}: ${syscall} failed, ${told}.`;
  return code === '' ? (stack ?? message) : `${message} (${code})`;
}
