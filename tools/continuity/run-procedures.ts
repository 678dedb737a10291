import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { ProgressLine } from '../../commands/command-line.js';
import { Programs } from './postgres.js';
import type { Procedure } from './procedures.js';
import { type Outcome, type Step, Trial } from './trial.js';
import { MEMORY, Workspace } from '../workspace.js';

/** Where Debian has the programs of PostgreSQL. */
export const BINARIES = '/usr/lib/postgresql/15/bin';
/** The help of `--binaries`. */
export const BINARIES_TEXT = `The programs of PostgreSQL 15 or later; ${BINARIES} without it.`;

const progress = new ProgressLine();

/**
 * Carries procedures out on servers of their own, and prints what each ended in. However the process ends, its servers end, too.
 *
 * @param name of the program
 * @param onStep told of each step
 * @returns true if each ends as the runbook says
 */
export async function runProcedures(
  name: string,
  chosen: readonly Procedure[],
  binaries: string,
  onStep?: (step: Step) => void,
): Promise<boolean> {
  const programs = await Programs.find(binaries);
  const workspace = new Workspace(name, MEMORY);
  const { directory } = workspace;
  // The account of the servers passes through it to its own directories.
  chmodSync(directory, 0o711);
  let holds = true;
  try {
    for (const [index, procedure] of chosen.entries()) {
      progress.show(`${procedure.name} (${String(index + 1)} of ${String(chosen.length)})`);
      const began = performance.now();
      const outcome = await carryOut(procedure, new Trial(programs, join(directory, String(index)), onStep));
      progress.clear();
      holds = print(procedure, outcome, (performance.now() - began) / 1_000) && holds;
    }
  } finally {
    await workspace.end();
  }
  return holds;
}

async function carryOut(procedure: Procedure, trial: Trial): Promise<Outcome | Error> {
  try {
    return await procedure.run(trial);
  } catch (error) {
    return error as Error;
  } finally {
    await trial.stop();
  }
}

function print({ name, expected }: Procedure, outcome: Outcome | Error, seconds: number): boolean {
  console.log(`${name}, in ${seconds.toFixed(0)} s`);
  if (outcome instanceof Error) {
    console.log(`  failed: ${outcome.stack ?? outcome.message}`);
    return false;
  }
  const columns = Object.keys(expected) as (keyof Outcome)[];
  for (const column of columns) {
    const differs = outcome[column] !== expected[column];
    console.log(`  ${column.padEnd(10)}${outcome[column]}${differs ? `; expected: ${expected[column]}` : ''}`);
  }
  return columns.every((column) => outcome[column] === expected[column]);
}

/** True if a directory has the programs of a whole PostgreSQL. */
export function hasPrograms(binaries: string): boolean {
  return existsSync(join(binaries, 'pg_basebackup'));
}
