import type { VerifiedLog } from './audit-log.js';
import { formatKept, listKept } from './kept-files.js';
import { toDay } from './log-tally.js';
import { DAY_MS, formatTable, type Part } from './part.js';

/** The days that the table shows, the newest first. */
const SHOWN_DAYS = 90;

/**
 * Says on which days the log was read for review (PCI DSS 4.0.1 10.4.1). The report itself is made offline and leaves no event, so
 * the log shows the exports and the reads that it needs, and the kept reports are listed with their digests.
 *
 * @param directory with the reports that the reviewers kept
 */
export function describeReviews({ tally, proved }: VerifiedLog, directory: string | undefined, now: Date): Part {
  const kept = directory === undefined ? [] : listKept(directory);
  const first = proved?.span?.[0];
  const days = first ? listDays(first, now) : [];
  const table = days.map((day) => {
    const readings = [...tally.readings.values()].filter((reading) => reading.day === day);
    return { day, readings: readings.map(({ caller, reads, exports }) => ({ caller, reads, exports })) };
  });
  const without = table.filter(({ readings }) => readings.every(({ exports }) => exports === 0));
  return {
    file: 'reviews.json',
    title: 'Daily reviews of the log (10.4.1, 10.4.1.1)',
    content: { days: table, keptReports: kept },
    summary: [
      `The log was exported on ${String(table.length - without.length)} of the last ${String(table.length)} days. \`npm run audit:report\` makes the report of a review from an export, offline, so an export is the trace that a review leaves in the log.`,
      '',
      ...formatTable(
        ['day', 'identity', 'exports', 'reads'],
        table.flatMap(({ day, readings }) =>
          readings.length === 0
            ? [[day, 'nobody', '0', '0']]
            : readings.map(({ caller, reads, exports }) => [day, caller, String(exports), String(reads)]),
        ),
      ),
      '',
      kept.length === 0 ? 'No kept report was given (`--reviews`).' : 'Reports that the reviewers kept:',
      '',
      ...(kept.length === 0 ? [] : formatKept(kept)),
    ],
    open: [
      ...(without.length === 0
        ? []
        : [
            `The log was not exported on ${String(without.length)} of the last ${String(table.length)} days (${formatSpan(without)}): say how it was reviewed then.`,
          ]),
      ...(kept.length === 0
        ? ['No report of a review was given: name the directory where reviewers keep them by --reviews.']
        : []),
    ],
    faults: [],
  };
}

function listDays(first: Date, now: Date): string[] {
  const days: string[] = [];
  // Today is not over, so its review cannot be missing.
  for (
    let time = now.getTime() - DAY_MS;
    days.length < SHOWN_DAYS && toDay(time) >= toDay(first.getTime());
    time -= DAY_MS
  )
    days.push(toDay(time));
  return days;
}

function formatSpan(days: readonly { readonly day: string }[]): string {
  const [newest, oldest] = [days[0]!.day, days.at(-1)!.day];
  return newest === oldest ? newest : `between ${oldest} and ${newest}`;
}
