import type { AccessPolicy } from '../../src/access/access-policy.js';
import type { Config } from '../../src/config/config.js';
import type { Inventory } from '../inventory/inventory.js';

/** A file of the evidence, with what the overview says about it. */
export interface Part {
  /** Its name in the directory, such as `access-matrix.json`. */
  readonly file: string;
  readonly title: string;
  /** Everything that is known, as JSON; null if the part is missing. */
  readonly content: unknown;
  /** Why the part could not be made. It then has no file. */
  readonly missing?: string;
  /** The essence as Markdown. */
  readonly summary: readonly string[];
  /** What an assessor asks about: something is missing, old, unused or not proved. */
  readonly open: readonly string[];
  /** What could not be read, or does not hold. */
  readonly faults: readonly string[];
}

/** What the parts are made of, apart from the log. */
export interface Sources {
  readonly config: Config;
  readonly inventory: Inventory;
  /** undefined if it cannot be read, which is a fault of the inventory. */
  readonly policy: AccessPolicy | undefined;
  readonly version: string;
  readonly now: Date;
}

/** Tells the parts that have a file. */
export function isMade({ missing }: Part): boolean {
  return missing === undefined;
}

export const DAY_MS = 86_400_000;

/** Formats a table in Markdown. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** Keeps a text in its cell, and from being read as HTML. */
function escapeCell(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll(/\s+/g, ' ');
}

export function countDays(from: Date, to: Date): number {
  return Math.floor((to.getTime() - from.getTime()) / DAY_MS);
}
