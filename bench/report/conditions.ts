import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type Checkout, HERE } from '../contenders/checkout.js';
import { median } from '../load/latency.js';
import { placement } from '../measure/placement.js';

/** The code of a checkout. */
interface Version {
  readonly commit: string;
  /** True if the working tree differs from the commit. */
  readonly modified: boolean;
}

/** The conditions of the figures. */
export interface Conditions extends Version {
  readonly at: string;
  /** The checkout of `before`. */
  readonly against: Version | null;
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

/**
 * @param directory a directory on the disk of the database
 * @param against the checkout of `before`, if that takes part
 */
export function conditions(directory: string, postgres: string, against?: Checkout): Conditions {
  return {
    at: new Date().toISOString(),
    ...versionOf(HERE),
    against: against ? versionOf(against) : null,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    postgres,
    flushMs: flush(directory),
    pinned: placement() ?? null,
  };
}

export function described(on: Conditions): string {
  const pins = on.pinned ?? {};
  const pinned = Object.entries(pins).map(([part, cores]) => `${part} ${cores}`);
  return [
    `${on.at}, commit ${describeVersion(on)}${on.against ? `, before: commit ${describeVersion(on.against)}` : ''}`,
    `${on.cpu}, ${String(on.cores)} cores, ${String(on.memoryGiB)} GiB, ${process.platform} ${on.kernel}`,
    `Node ${on.node}, PostgreSQL ${on.postgres}, ${on.flushMs.toFixed(2)} ms for a flush to disk`,
    pinned.length > 0 ? `on cores: ${pinned.join(', ')}` : 'nothing pinned to cores',
  ].join('\n');
}

function describeVersion({ commit, modified }: Version): string {
  return modified ? `${commit} with changes` : commit;
}

function versionOf({ root }: Checkout): Version {
  return {
    commit: git(root, 'rev-parse', '--short', 'HEAD') || 'unversioned',
    modified: git(root, 'status', '--porcelain', '--', 'src', 'commands', 'dev', 'bench') !== '',
  };
}

function git(root: string, ...args: string[]): string {
  try {
    return execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
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
