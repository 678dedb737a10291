import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc (USER_HZ: 100 on every architecture that Node supports). */
const TICKS_PER_SECOND = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** CPU seconds, including those of ended children. */
  readonly cpu: number;
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parse(Number(name), readFileSync(`/proc/${name}/stat`, 'utf8'))];
      } catch {
        return [];
      }
    });
}

/** Reads the fields after the name: in proc(5), 3 is the state, and 14 to 17 are utime, stime, cutime and cstime. */
function parse(pid: number, stat: string): Process {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid, parent: Number(fields[1]), cpu: ticks / TICKS_PER_SECOND };
}

function treeOf(root: number, all: readonly Process[]): Process[] {
  const self = all.filter(({ pid }) => pid === root);
  return [...self, ...all.filter(({ parent }) => parent === root).flatMap(({ pid }) => treeOf(pid, all))];
}

/** Returns the CPU seconds of each process and all its descendants, living and ended; NaN if unknown. */
export function cpuSeconds(roots: readonly (number | undefined)[]): number[] {
  if (process.platform !== 'linux') return roots.map(() => NaN);
  const all = processes();
  return roots.map((root) => (root === undefined ? NaN : treeOf(root, all).reduce((sum, { cpu }) => sum + cpu, 0)));
}

export function descendants(root: number): number[] {
  return process.platform === 'linux' ? treeOf(root, processes()).map(({ pid }) => pid) : [root];
}

/** Returns the MiB of a process and its descendants. `Pss` divides shared memory, such as PostgreSQL's buffers. */
export function memory(root: number | undefined, kind: 'Rss' | 'Pss'): number {
  if (root === undefined || process.platform !== 'linux') return NaN;
  const sizes = descendants(root).map((pid) => {
    try {
      const rollup = readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
      return Number(new RegExp(`^${kind}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]) / 1_024;
    } catch {
      return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Returns the parent of a process. For a backend of PostgreSQL, that is the postmaster. */
export function parentOf(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  return processes().find((each) => each.pid === pid)?.parent;
}
