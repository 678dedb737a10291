import { readFileSync } from 'node:fs';
import type { VerifiedLog } from './audit-log.js';
import { describeFile } from './kept-files.js';
import { formatTable, type Part } from './part.js';

/** A line of `npm run drill` and `npm run continuity` that says that something differs from the runbook. */
const DIFFERS = /; expected: |^ {2}failed: /m;
/** The line that both print for a procedure that ended. */
const ENDED = /^\S.*, in \d+ s$/gm;

/**
 * Says which restores were tried: those of this log, which the log itself records, and the rehearsals whose output was kept.
 *
 * @param drills files with the output of `npm run drill` or `npm run continuity`
 */
export function describeRestores({ tally }: VerifiedLog, drills: readonly string[]): Part {
  const restores = tally.listEvents('audit.restore');
  const rehearsals = drills.map((path) => {
    const text = readFileSync(path, 'utf8');
    const procedures = text.match(ENDED) ?? [];
    return { ...describeFile(path), procedures, asExpected: procedures.length > 0 && !DIFFERS.test(text) };
  });
  return {
    file: 'restores.json',
    title: 'Restores: tried and done (12.10.2)',
    content: { rehearsals, restoresOfThisLog: restores },
    summary: [
      restores.length === 0
        ? 'This log records no restore: it never gave up leaves.'
        : 'This log was restored, and continues from an older state:',
      '',
      ...(restores.length === 0
        ? []
        : formatTable(
            ['time', 'detail'],
            restores.map(({ time, detail }) => [time, detail]),
          )),
      '',
      rehearsals.length === 0 ? 'No output of a rehearsal was given (`--drill`).' : 'Rehearsals:',
      '',
      ...(rehearsals.length === 0
        ? []
        : formatTable(
            ['file', 'last changed', 'procedures', 'ended as the runbook says'],
            rehearsals.map(({ file, modified, procedures, asExpected }) => [
              file,
              modified,
              procedures.join('; '),
              asExpected ? 'yes' : 'no',
            ]),
          )),
    ],
    open: [
      ...(rehearsals.length === 0
        ? ['No rehearsal of a restore was shown: keep the output of npm run drill, and give it by --drill.']
        : []),
      ...rehearsals
        .filter(({ asExpected }) => !asExpected)
        .map(({ file }) => `The rehearsal in ${file} did not end as the runbook says.`),
    ],
    faults: [],
  };
}
