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
   */
  constructor(
    readonly anchored?: KnownCheckpoint,
    readonly lost: readonly KnownCheckpoint[] = [],
  ) {}

  static read(config: Pick<Config, 'auditAnchorFile' | 'auditLostCheckpoints'>, keys: LogKeys): LogMemory {
    const { auditAnchorFile: path, auditLostCheckpoints: lost = [] } = config;
    const anchored = path === undefined ? undefined : readLastCheckpoint(path, keys);
    const isLost = lost.some((one) => anchored && isSame(anchored, one));
    return new LogMemory(isLost ? undefined : anchored, lost);
  }
}

/** Writes a checkpoint as `PASSKEY_AUDIT_LOST_CHECKPOINTS` takes it. */
export function formatKnown({ size, root }: KnownCheckpoint): string {
  return `${String(size)} ${root.toString('base64')}`;
}

function isSame(one: KnownCheckpoint, other: KnownCheckpoint): boolean {
  return one.size === other.size && one.root.equals(other.root);
}

/** Reads the last checkpoint that our keys have signed. A torn note at the end does not hide the one before it. */
function readLastCheckpoint(path: string, keys: LogKeys): KnownCheckpoint | undefined {
  const logger = new Logger(LogMemory.name);
  try {
    const tail = readTail(path);
    const notes = [...tail.matchAll(NOTE)].map(([note]) => open(note, keys));
    const last = notes.findLast((checkpoint) => checkpoint !== undefined);
    if (tail !== '' && !last) logger.warn({ message: 'the anchor file ends with no checkpoint of ours', file: path });
    return last;
  } catch (error) {
    logger.warn({ message: 'the anchor file cannot be read', file: path, reason: (error as Error).message });
    return undefined;
  }
}

function open(note: string, keys: LogKeys): KnownCheckpoint | undefined {
  try {
    const { origin, size, root } = openCheckpoint(note, selectKeys(keys, note).keys);
    return origin === keys.origin ? { size, root } : undefined;
  } catch {
    return undefined;
  }
}

/** Returns '' for a file that does not exist yet, and for one that is no regular file, such as a pipe. */
function readTail(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return '';
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
