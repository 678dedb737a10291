import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { median } from '../load/latency.js';
import { placement } from '../measure/placement.js';

/** The conditions of the figures besides the code. */
export interface Conditions {
  readonly at: string;
  readonly commit: string;
  /** True if the working tree differs from the commit. */
  readonly modified: boolean;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgres: string;
  /** Milliseconds that the disk takes to flush 8 KiB. */
  readonly flushMs: number;
  readonly pinned: Readonly<Record<string, string>> | null;
}

/** @param directory a directory on the disk of the database */
export function conditions(directory: string, postgres: string): Conditions {
  return {
    at: new Date().toISOString(),
    commit: git('rev-parse', '--short', 'HEAD') || 'unversioned',
    modified: git('status', '--porcelain', '--', 'src', 'bench') !== '',
    ...{ cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30) },
    ...{ kernel: release(), node: process.version, postgres },
    ...{ flushMs: flush(directory), pinned: placement() ?? null },
  };
}

export function described(on: Conditions): string {
  const pins = on.pinned ?? {};
  const pinned = Object.entries(pins).map(([part, cores]) => `${part} ${cores}`);
  return [
    `${on.at}, commit ${on.commit}${on.modified ? ' with changes' : ''}`,
    `${on.cpu}, ${String(on.cores)} cores, ${String(on.memoryGiB)} GiB, ${process.platform} ${on.kernel}`,
    `Node ${on.node}, PostgreSQL ${on.postgres}, ${on.flushMs.toFixed(2)} ms for a flush to disk`,
    pinned.length > 0 ? `on cores: ${pinned.join(', ')}` : 'nothing pinned to cores',
  ].join('\n');
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

function flush(directory: string): number {
  const path = join(directory, 'flush');
  const file = openSync(path, 'w');
  const times = Array.from({ length: 50 }, () => {
    const start = performance.now();
    writeSync(file, Buffer.alloc(8_192), 0, 8_192, 0);
    fdatasyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  rmSync(path);
  return median(times);
}
