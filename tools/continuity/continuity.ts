/**
 * `npm run continuity` takes the service to another database in each way that docs/runbook.md describes, under load: a dump, a
 * recovery to a point in time, logical replication, and the promotion of a standby. Afterwards it compares what is there with
 * what was acknowledged, with the log and with the checkpoints that were anchored before, and `npm run reconcile` must name what is
 * back and what is missing. It starts its own PostgreSQL clusters, needs the programs of a whole PostgreSQL, and no network.
 */
import { chmodSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, type Program, ProgressLine, readArguments, reportUsage } from '../../commands/command-line.js';
import { Programs } from './postgres.js';
import { type Procedure, PROCEDURES } from './procedures.js';
import { type Outcome, Trial } from './trial.js';
import { Workspace } from '../workspace.js';

const BINARIES = '/usr/lib/postgresql/15/bin';
const PROGRAM = {
  command: 'npm run continuity --',
  usage: ['[--procedure NAME] [--binaries DIRECTORY]'],
  about:
    'Takes the service to another database in each way that the runbook describes, under load, and examines what came of it.',
  options: {
    procedure: { value: 'NAME', text: `Tries one alone: ${PROCEDURES.map(({ name }) => `'${name}'`).join(', ')}.` },
    binaries: { value: 'DIRECTORY', text: `The programs of PostgreSQL 15 or later; ${BINARIES} without it.` },
  },
  examples: ['', `--procedure 'logical replication'`],
  exitCodes: {
    [EXIT.done]: 'Each procedure ends as the runbook says.',
    [EXIT.failed]: 'A procedure ends otherwise, or could not be carried out.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;

const { procedure: only, binaries = BINARIES } = readArguments(PROGRAM).values;
const chosen = PROCEDURES.filter(({ name }) => only === undefined || name === only);
const progress = new ProgressLine();

async function main(): Promise<boolean> {
  const programs = await Programs.find(binaries);
  const workspace = new Workspace('continuity', existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const { directory } = workspace;
  // The account of the servers passes through it to its own directories.
  chmodSync(directory, 0o711);
  let holds = true;
  try {
    for (const [index, procedure] of chosen.entries()) {
      progress.show(`${procedure.name} (${String(index + 1)} of ${String(chosen.length)})`);
      const began = performance.now();
      const outcome = await carryOut(procedure, new Trial(programs, join(directory, String(index))));
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

if (chosen.length === 0 || !existsSync(join(binaries, 'pg_basebackup'))) {
  reportUsage(PROGRAM, chosen.length === 0 ? 'There is no such procedure.' : `${binaries} has no pg_basebackup.`);
  process.exit(EXIT.couldNotRun);
}
process.exit((await main()) ? EXIT.done : EXIT.failed);
