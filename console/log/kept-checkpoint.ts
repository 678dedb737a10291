import type { Kept } from './witness.js';

const PREFIX = 'console-witness ';

/** What the browser keeps of the log of a service. @param service its address. @returns undefined for nothing, or for what is damaged */
export function readKept(service: string): Kept | undefined {
  const text = localStorage.getItem(PREFIX + service);
  return text === null ? undefined : (JSON.parse(text) as Kept);
}

export function writeKept(service: string, kept: Kept): void {
  localStorage.setItem(PREFIX + service, JSON.stringify(kept));
}

export function forgetKept(service: string): void {
  localStorage.removeItem(PREFIX + service);
}
