import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import type { Config } from '../config/config.js';
import { openCheckpoint } from '../tlog/checkpoint.js';
import { type LogKeys, selectKeys } from './log-keys.js';

/** The first `size` leaves of a log, and their root. */
export interface KnownCheckpoint {
  readonly size: number;
  readonly root: Buffer;
}

/** A receiver takes notes, and nothing says how to ask it for one. */
const ONLY_URL = 'only PASSKEY_AUDIT_ANCHOR_FILE is read at a start, and it is not set';

/** Notes take 4 to 10 kB each, so the end of the file holds the last ones. */
const TAIL_BYTES = 2 ** 17;
/** Origin, size and root of a checkpoint, further lines, a blank line, signatures. */
const NOTE = /^[^\n]+\n\d+\n[^\n]+\n(?:[^\n]+\n)*\n(?:\u2014 [^\n]+\n)+/gm;

/**
 * What a process knows of the log before it reads the database. The anchor file remembers the log across restarts: a
 * database that was restored to an older state, or a standby that lacks the last events, does not have its last
 * checkpoint. Such a log is continued only if the operator names that checkpoint as lost.
 */
export class LogMemory {
  /**
   * @param anchored the last checkpoint of the anchor file, unless it is one of `lost`
   * @param lost the checkpoints that the operator gives up: the last of each replica's anchor file
   * @param forgotten why the process knows nothing of what was anchored before its start; undefined if it does, or nothing is
   *   anchored
   */
  constructor(
    readonly anchored?: KnownCheckpoint,
    readonly lost: readonly KnownCheckpoint[] = [],
    readonly forgotten?: string,
  ) {}

  static read(
    config: Pick<Config, 'auditAnchorFile' | 'auditAnchorUrl' | 'auditLostCheckpoints'>,
    keys: LogKeys,
  ): LogMemory {
    const { auditAnchorFile: path, auditAnchorUrl: url, auditLostCheckpoints: lost = [] } = config;
    if (path === undefined) return new LogMemory(undefined, lost, url === undefined ? undefined : ONLY_URL);
    try {
      const anchored = readLastCheckpoint(path, keys);
      const isLost = lost.some((one) => anchored && isSame(anchored, one));
      return new LogMemory(isLost ? undefined : anchored, lost);
    } catch (error) {
      const forgotten = `the anchor file ${(error as Error).message}`;
      new Logger(LogMemory.name).warn({ message: 'the anchored checkpoints are not known', file: path, forgotten });
      return new LogMemory(undefined, lost, forgotten);
    }
  }
}

/** Writes a checkpoint as `PASSKEY_AUDIT_LOST_CHECKPOINTS` takes it. */
export function formatKnown({ size, root }: KnownCheckpoint): string {
  return `${String(size)} ${root.toString('base64')}`;
}

function isSame(one: KnownCheckpoint, other: KnownCheckpoint): boolean {
  return one.size === other.size && one.root.equals(other.root);
}

/**
 * Reads the last checkpoint that our keys have signed. A torn note at the end does not hide the one before it.
 *
 * @returns undefined for a new file
 * @throws Error that says what is wrong with the file
 */
function readLastCheckpoint(path: string, keys: LogKeys): KnownCheckpoint | undefined {
  const tail = readTail(path);
  if (tail === '') return undefined;
  const notes = [...tail.matchAll(NOTE)].map(([note]) => open(note, keys));
  const last = notes.findLast((checkpoint) => checkpoint !== undefined);
  if (!last) throw new Error('ends with no checkpoint that our keys have signed');
  return last;
}

function open(note: string, keys: LogKeys): KnownCheckpoint | undefined {
  try {
    const { origin, size, root } = openCheckpoint(note, selectKeys(keys, note).keys);
    return origin === keys.origin ? { size, root } : undefined;
  } catch {
    return undefined;
  }
}

/** Returns '' for a file that does not exist yet. A pipe has nothing to read. @throws Error */
function readTail(path: string): string {
  try {
    return readEnd(path);
  } catch (error) {
    throw new Error(`cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function readEnd(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return '';
  if (!stats.isFile()) throw new Error('it is not a regular file');
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const read = readSync(file, tail, 0, tail.length, size - tail.length);
    return tail.toString('utf8', 0, read);
  } finally {
    closeSync(file);
  }
}
