import { readdirSync, readFileSync } from 'node:fs';

/** Returns the CPU seconds of a process's threads by name; empty without /proc. */
export function threadSeconds(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  if (process.platform !== 'linux') return seconds;
  for (const thread of readdirSync(`/proc/${String(pid)}/task`)) {
    const stat = readFileSync(`/proc/${String(pid)}/task/${thread}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const name = Number(thread) === pid ? 'main thread' : stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const used = (Number(fields[11]) + Number(fields[12])) / 100;
    seconds.set(name, (seconds.get(name) ?? 0) + used);
  }
  return seconds;
}
