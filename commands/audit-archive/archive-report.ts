import { ArchiveError } from './archive-error.js';
import type { ArchivedMonth, ArchiveRequest } from './log-archiver.js';

const REFRESH_MS = 200;
const BAR_WIDTH = 24;

let shownAt = 0;

/** Shows a progress bar if standard error is a terminal. */
export const showProgress: NonNullable<ArchiveRequest['onProgress']> = (step, leaves, of) => {
  const now = performance.now();
  if (!process.stderr.isTTY || now - shownAt < REFRESH_MS) return;
  shownAt = now;
  const done = of === 0 ? 1 : leaves / of;
  const bar = '#'.repeat(Math.round(done * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  process.stderr.write(`\r\x1b[K[${bar}] ${step} ${leaves.toLocaleString('en')} of ${of.toLocaleString('en')}`);
};

/** Describes what was done with a month, or what would be done. */
export function describeMonth({ partition, extent: { events, from, to }, path, file }: ArchivedMonth): string {
  const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
  const what = `${events.toLocaleString('en')} events, leaves [${String(from)}, ${String(to)})`;
  const sha256 = file ? `, proved, SHA-256 ${file.digest.toString('hex')}` : '';
  return `${clear}${partition.name}: ${what} ${file ? 'are in' : 'would go to'} ${path}${sha256}`;
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
  const { code = '', path, syscall = '', message, stack } = error as NodeJS.ErrnoException;
  const told = FILE_ERRORS[code];
  if (told !== undefined) return `${path ?? 'The archive'}: ${syscall} failed, ${told}.`;
  return code === '' ? (stack ?? message) : `${message} (${code})`;
}
