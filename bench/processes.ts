import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Clock ticks a second, as /proc counts them (Linux's USER_HZ, 100 on every supported architecture). */
const TICKS_PER_SECOND = 100;

/** Starts a program and waits for the URL in the first line of its output. */
export async function start(
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /https:\/\/[\d.]+:\d+/.exec(line)?.[0];
    child.stdout.resume();
    if (url) return { child, url };
  }
  throw new Error(`${args.join(' ')} ended before it listened`);
}

export async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Seconds of CPU that a process has used, and its children too when they are asked for. Zero where there is no /proc. */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

/** The processes of the PostgreSQL server that a process started, by the name of the cluster's user connection. */
export function postgresOf(dataDir: string): number[] {
  const first = readFileSync(`${dataDir}/postgres/data/postmaster.pid`, 'utf8').split('\n')[0]!;
  const parentOf = (pid: string): string =>
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[1] ?? '';
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return processes
    .filter((pid) => {
      try {
        return pid === first || parentOf(pid) === first;
      } catch {
        return false;
      }
    })
    .map(Number);
}
