import { areReleased, type Resources } from './resources.js';
import type { Counts } from './sockets.js';
import { p99, type SignIns } from './sign-ins.js';

/** The effects of an attack on the permitted callers and on the service's process. */
export interface Outcome {
  readonly attack: string;
  /** The p99 without an attack, in milliseconds. */
  readonly calm: number;
  readonly signIns: SignIns;
  readonly before: Resources;
  readonly after: Resources;
  readonly counts: Counts;
  /** Further faults, besides those of the sign-ins and of the process. */
  readonly others: readonly string[];
}

const MAX_SLOWDOWN = 3;

export function isTooSlow({ calm, signIns }: Outcome): boolean {
  return !(p99(signIns.latencies) <= MAX_SLOWDOWN * calm);
}

/** @returns why the service fails against the attack; empty when it holds */
export function faultsOf(outcome: Outcome): string[] {
  const { signIns, before, after } = outcome;
  const kinds = Map.groupBy(signIns.failures, (failure) => failure);
  return [
    ...[...kinds].map(([failure, { length }]) => `${String(length)} sign-ins failed: ${failure}`),
    ...(signIns.done === 0 ? ['no sign-in succeeded'] : []),
    ...(isTooSlow(outcome) ? [`sign-ins took more than ${String(MAX_SLOWDOWN)} times as long`] : []),
    ...(areReleased(after, before) ? [] : ['memory or descriptors were not released']),
    ...outcome.others,
  ];
}

const COLUMNS = ['attack', 'sign-ins', 'failed', 'p99 ms', 'MiB', 'descriptors', 'attackers', 'holds'];

export function printTable(outcomes: readonly Outcome[]): void {
  const rows = [COLUMNS, ...outcomes.map(rowOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lineOf = (row: readonly string[]): string => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ');
  for (const row of rows) console.log(lineOf(row).trimEnd());
  for (const outcome of outcomes) {
    for (const fault of faultsOf(outcome)) console.log(`${outcome.attack}: ${fault}`);
  }
}

function rowOf(outcome: Outcome): string[] {
  const { attack, calm, signIns, before, after, counts } = outcome;
  const change = (from: number, to: number): string => `${from.toFixed(0)} → ${to.toFixed(0)}`;
  return [
    attack,
    String(signIns.done),
    String(signIns.failures.length),
    change(calm, p99(signIns.latencies)),
    change(before.memory, after.memory),
    change(before.descriptors, after.descriptors),
    Object.entries(counts)
      .map(([what, count]) => `${String(count)} ${what}`)
      .join(', '),
    faultsOf(outcome).length === 0 ? 'yes' : 'NO',
  ];
}
