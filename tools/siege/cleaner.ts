/**
 * Cleans up after the siege, even after a kill: it ends the service, if it still runs, and removes its data. The
 * siege forks this process with the data's directory as its argument, sends it the service's process, and disconnects.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface CleanerMessage {
  readonly service: number;
}

const [directory] = process.argv.slice(2) as [string];
const POLL_MS = 100;
const POLLS = 200;
let service: number | undefined;

function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${String(pid)}/cmdline`, 'latin1').includes('dist/src/main.js');
  } catch {
    return false;
  }
}

async function end(pid: number): Promise<void> {
  if (!isRunning(pid)) return;
  process.kill(pid, 'SIGTERM');
  for (let polls = 0; isRunning(pid) && polls < POLLS; polls += 1) await sleep(POLL_MS);
  if (isRunning(pid)) process.kill(pid, 'SIGKILL');
}

/** A server that is ending may still write while its directory is being removed. */
async function removeData(): Promise<void> {
  for (let polls = 0; existsSync(directory) && polls < POLLS; polls += 1) {
    try {
      rmSync(directory, { recursive: true, force: true });
    } catch (error) {
      if (polls === POLLS - 1) throw error;
    }
    await sleep(POLL_MS);
  }
}

async function cleanUp(): Promise<void> {
  if (service !== undefined) await end(service);
  await removeData();
}

process.on('message', (message: CleanerMessage) => (service = message.service));
process.once('disconnect', () => void cleanUp());
// Ctrl-C reaches the whole group, and this process last.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
