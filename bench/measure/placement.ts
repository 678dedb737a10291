import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

/**
 * The contender has the first core to itself, like one worker in production, where neither its database nor its callers run
 * beside it. The generator has the last core. The database has the cores between, or shares the last one. With a single core or
 * without taskset, nothing is pinned.
 */
export type Part = 'service' | 'database' | 'generator';

const count = Math.min(availableParallelism(), cpus().length);
const last = count - 1;
const CORES: Record<Part, string> = {
  service: '0',
  database: count > 2 ? `1-${String(last - 1)}` : String(last),
  generator: String(last),
};

let pinning = count > 1 && spawnSync('taskset', ['-p', String(process.pid)]).status === 0;

/** Ends the pinning: further processes use any core. */
export function pinNothing(): void {
  pinning = false;
}

/** Returns the cores of a part; undefined if nothing is pinned. */
export function placement(): Readonly<Record<Part, string>> | undefined {
  return pinning ? CORES : undefined;
}

/** Returns the number of cores of database and generator. */
export function otherCores(): number {
  return pinning ? last : count;
}

/** Returns the command that runs Node with `args` on the cores of that part. */
export function pinned(part: Part, args: readonly string[]): [string, string[]] {
  return pinning ? ['taskset', ['-c', CORES[part], process.execPath, ...args]] : [process.execPath, [...args]];
}

/** Moves running processes to the cores of a part. */
export function pin(part: Part, pids: readonly number[]): void {
  if (!pinning) return;
  for (const pid of pids) spawnSync('taskset', ['-a', '-c', '-p', CORES[part], String(pid)]);
}
