import { DAMAGED, type Kept } from './witness.js';

const PREFIX = 'console-witness ';

/**
 * What the browser keeps of the log of a service. @param service its address. @returns undefined for nothing
 *
 * @throws Error if that is damaged
 */
export function readKept(service: string): Kept | undefined {
  const text = localStorage.getItem(PREFIX + service);
  if (text === null) return undefined;
  try {
    const { note, keys, ...rest } = JSON.parse(text) as Kept;
    if (typeof note === 'string' && typeof keys === 'string') return { note, keys, ...rest };
  } catch {
    // Damaged as well.
  }
  throw new Error(DAMAGED);
}

export function writeKept(service: string, kept: Kept): void {
  localStorage.setItem(PREFIX + service, JSON.stringify(kept));
}

export function forgetKept(service: string): void {
  localStorage.removeItem(PREFIX + service);
}
