import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { NoteError } from '../../src/tlog/signed-note.js';
import { parseVerifierKeys } from '../../src/tlog/keys.js';
import { ArchiveError } from './archive-error.js';
import type { ArchiveRequest } from './log-archiver.js';

export const USAGE = 'usage: npm run audit:archive -- --before YYYY-MM-01 --key FILE [--to DIRECTORY] [--dry-run]';

/** At least this many months stay available for analysis (PCI DSS 4.0.1 10.5.1). */
const MONTHS_ONLINE = 3;

export interface ArchiveCommand extends Pick<ArchiveRequest, 'before' | 'directory' | 'keys'> {
  readonly dryRun: boolean;
}

/** @throws ArchiveError that says what is wrong with the command */
export function readArchiveCommand(args: string[], now: Date): ArchiveCommand {
  const { before, key, to, 'dry-run': dryRun } = parseOptions(args);
  if (before === undefined || key === undefined) throw new ArchiveError(USAGE);
  return { before: readBefore(before, now), directory: resolve(to), keys: readKeys(key), dryRun };
}

function parseOptions(args: string[]): { before?: string; key?: string; to: string; 'dry-run': boolean } {
  try {
    const options = {
      before: { type: 'string' },
      key: { type: 'string' },
      to: { type: 'string', default: 'audit-archive' },
      'dry-run': { type: 'boolean', default: false },
    } as const;
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new ArchiveError(`${(error as Error).message}\n${USAGE}`);
  }
}

function readBefore(text: string, now: Date): Date {
  const before = new Date(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(before.getTime())) {
    throw new ArchiveError(`--before ${text} is not a date like 2026-01-31`);
  }
  const latest = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - MONTHS_ONLINE, now.getUTCDate()));
  if (before <= latest) return before;
  const [months, shown] = [String(MONTHS_ONLINE), latest.toISOString().slice(0, 10)];
  throw new ArchiveError(
    `The last ${months} months stay in the database (PCI DSS 10.5.1): --before is at most ${shown}`,
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
