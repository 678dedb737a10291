/**
 * `npm run drill` rehearses a restore as docs/runbook.md describes it, on servers of its own: a dump under load, the loss of the
 * database, and every step from the roles to the verification. It prints each step with its duration and what came of it. The
 * procedure is the one that `npm run continuity` tries.
 */
import { EXIT, type Program, readArguments, reportUsage } from '../../commands/command-line.js';
import { RESTORE } from './procedures.js';
import { BINARIES, BINARIES_TEXT, hasPrograms, runProcedures } from './run-procedures.js';

const PROGRAM = {
  command: 'npm run drill --',
  usage: ['[--binaries DIRECTORY]'],
  about:
    'Rehearses the restore of a backup in the order of the runbook, on servers of its own, which end with it. It prints each step, how long it took, and what came back or was missing. It touches no other database and needs no network.',
  options: { binaries: { value: 'DIRECTORY', text: BINARIES_TEXT } },
  examples: [''],
  exitCodes: {
    [EXIT.done]: 'The restore ends as the runbook says.',
    [EXIT.failed]: 'It ends otherwise, or could not be carried out.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or there is no PostgreSQL.',
  },
} as const satisfies Program;

const { binaries = BINARIES } = readArguments(PROGRAM).values;
if (!hasPrograms(binaries)) {
  reportUsage(PROGRAM, `${binaries} has no pg_basebackup.`);
  process.exit(EXIT.couldNotRun);
}
let steps = 0;
const holds = await runProcedures('drill', [RESTORE], binaries, ({ title, seconds, told }) => {
  console.log(`${String((steps += 1)).padStart(2)}. ${title} (${seconds.toFixed(1)} s): ${told}`);
});
process.exit(holds ? EXIT.done : EXIT.failed);
