import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

/**
 * The contender has the first core to itself, as one worker of it would in production, where neither its database nor
 * its callers run beside it. The generator has the last core; the database what lies between, or the last core too.
 * Nothing is pinned where there is one core, or no taskset.
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

/** From now on every process uses the core that the system gives it. */
export function pinNothing(): void {
  pinning = false;
}

/** undefined: nothing is pinned. */
export function placement(): Readonly<Record<Part, string>> | undefined {
  return pinning ? CORES : undefined;
}

/** How many cores database and generator have. */
export function otherCores(): number {
  return pinning ? last : count;
}

/** The command that runs Node with `args` where that part belongs. */
export function pinned(part: Part, args: readonly string[]): [string, string[]] {
  return pinning ? ['taskset', ['-c', CORES[part], process.execPath, ...args]] : [process.execPath, [...args]];
}

/** Moves processes that run already. */
export function pin(part: Part, pids: readonly number[]): void {
  if (!pinning) return;
  for (const pid of pids) spawnSync('taskset', ['-a', '-c', '-p', CORES[part], String(pid)]);
}
