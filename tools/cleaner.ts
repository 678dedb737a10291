/**
 * Cleans up after a program with a `Workspace`, even after `kill -9`. The first line of its input is the directory. When its input
 * ends, it ends every process that works in the directory or names it in its command line or its environment (services,
 * PostgreSQL, load generators), and then removes the directory. It finds them in /proc, so only on Linux.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;
const POLLS = 200;

function read(pid: string, name: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(join('/proc', pid, name), 'latin1');
  } catch {
    return '';
  }
}

function readDirectory(pid: string): string {
  try {
    return readlinkSync(join('/proc', pid, 'cwd'));
  } catch {
    return '';
  }
}

function listProcesses(directory: string): number[] {
  if (!existsSync('/proc')) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const works = (pid: string): boolean =>
    [readDirectory(pid), read(pid, 'cmdline'), read(pid, 'environ')].some((said) => said.includes(directory));
  return pids.filter(works).map(Number);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

/** SIGINT stops the service in order, and asks PostgreSQL for a fast shutdown. */
async function endProcesses(directory: string): Promise<void> {
  for (const pid of listProcesses(directory)) signal(pid, 'SIGINT');
  for (let polls = 0; polls < POLLS && listProcesses(directory).length > 0; polls += 1) await sleep(POLL_MS);
  for (const pid of listProcesses(directory)) signal(pid, 'SIGKILL');
}

/** A process that is ending may still write while its directory is being removed. */
async function remove(directory: string): Promise<void> {
  for (let polls = 0; existsSync(directory) && polls < POLLS; polls += 1) {
    try {
      rmSync(directory, { recursive: true, force: true });
    } catch (error) {
      if (polls === POLLS - 1) throw error;
    }
    if (existsSync(directory)) await sleep(POLL_MS);
  }
}

// Ctrl-C reaches the whole group, and this process last.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
const directory = (await text(process.stdin)).trim();
await endProcesses(directory);
await remove(directory);
