/**
 * `npm run continuity` takes the service to another database in each way that docs/runbook.md describes, under load: a dump, a
 * recovery to a point in time, logical replication, and the promotion of a standby. Afterwards it compares what is there with
 * what was acknowledged, with the log and with the checkpoints that were anchored before, and `npm run reconcile` must name what is
 * back and what is missing. It starts its own PostgreSQL clusters, needs the programs of a whole PostgreSQL, and no network.
 */
import { EXIT, type Program, readArguments, reportUsage } from '../../commands/command-line.js';
import { PROCEDURES } from './procedures.js';
import { BINARIES, BINARIES_TEXT, hasPrograms, runProcedures } from './run-procedures.js';

const PROGRAM = {
  command: 'npm run continuity --',
  usage: ['[--procedure NAME] [--binaries DIRECTORY]'],
  about:
    'Takes the service to another database in each way that the runbook describes, under load, and examines what came of it.',
  options: {
    procedure: { value: 'NAME', text: `Tries one alone: ${PROCEDURES.map(({ name }) => `'${name}'`).join(', ')}.` },
    binaries: { value: 'DIRECTORY', text: BINARIES_TEXT },
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

if (chosen.length === 0 || !hasPrograms(binaries)) {
  reportUsage(PROGRAM, chosen.length === 0 ? 'There is no such procedure.' : `${binaries} has no pg_basebackup.`);
  process.exit(EXIT.couldNotRun);
}
process.exit((await runProcedures('continuity', chosen, binaries)) ? EXIT.done : EXIT.failed);
