import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The resources that a process holds. */
export interface Resources {
  /** Resident MiB. */
  readonly memory: number;
  readonly descriptors: number;
}

export function readResources(pid: number): Resources {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  return { memory: kibibytes / 1_024, descriptors: readdirSync(`/proc/${String(pid)}/fd`).length };
}

/** Tolerances: the garbage collector and the allocator keep memory, and connection pools open and close sockets. */
const SPARE_MEMORY = 64;
const SPARE_DESCRIPTORS = 12;

export function areReleased(now: Resources, before: Resources): boolean {
  return now.memory <= before.memory * 1.25 + SPARE_MEMORY && now.descriptors <= before.descriptors + SPARE_DESCRIPTORS;
}

/** Waits until a process holds no more than before, at most for the given seconds. @returns its resources then */
export async function settle(pid: number, before: Resources, seconds: number): Promise<Resources> {
  const deadline = performance.now() + seconds * 1_000;
  let now = readResources(pid);
  while (!areReleased(now, before) && performance.now() < deadline) {
    await sleep(250);
    now = readResources(pid);
  }
  return now;
}
