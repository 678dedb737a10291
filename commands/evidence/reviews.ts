import type { VerifiedLog } from './audit-log.js';
import { formatKept, listKept } from './kept-files.js';
import { type Reading, toDay } from './log-tally.js';
import { DAY_MS, formatTable, type Part } from './part.js';

/** The days that the table shows, the newest first. */
const SHOWN_DAYS = 90;

/**
 * Says on which days the log was read for review (PCI DSS 4.0.1 10.4.1). The export of a review is recorded; what the reader
 * concluded is not. So the log shows exports and reads, and the kept reports are listed with their digests.
 *
 * @param directory with the reports that the reviewers kept
 */
export function describeReviews({ tally, proved }: VerifiedLog, directory: string | undefined, now: Date): Part {
  const kept = directory === undefined ? [] : listKept(directory);
  const first = proved?.span?.[0];
  const days = first ? listDays(first, now) : [];
  const listReadings = (day: string): Pick<Reading, 'caller' | 'reads' | 'exports'>[] =>
    [...tally.readings.values()]
      .filter((reading) => reading.day === day)
      .map(({ caller, reads, exports }) => ({ caller, reads, exports }));
  const table = days.map((day) => ({ day, readings: listReadings(day) }));
  const today = { day: toDay(now.getTime()), readings: listReadings(toDay(now.getTime())) };
  const without = table.filter(({ readings }) => readings.every(({ exports }) => exports === 0));
  return {
    file: 'reviews.json',
    title: 'Daily reviews of the log (10.4.1, 10.4.1.1)',
    content: { today, days: table, keptReports: kept },
    summary: [
      `${describeDays(table.length, table.length - without.length)} Today, which is not over and not counted: ${countExports(today.readings)} so far.`,
      '',
      'A review reads an export: in the console, or offline by `npm run audit:report`. The export is recorded; what the reader concluded is not.',
      '',
      ...(table.length === 0
        ? []
        : formatTable(
            ['day', 'identity', 'exports', 'reads'],
            table.flatMap(({ day, readings }) =>
              readings.length === 0
                ? [[day, 'nobody', '0', '0']]
                : readings.map(({ caller, reads, exports }) => [day, caller, String(exports), String(reads)]),
            ),
          )),
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

function describeDays(days: number, withExport: number): string {
  if (days === 0) return 'The log has no whole day yet.';
  return `The log was exported on ${String(withExport)} of the last ${days === 1 ? 'whole day' : `${String(days)} whole days`}.`;
}

function countExports(readings: readonly Pick<Reading, 'exports'>[]): string {
  const count = readings.reduce((sum, { exports }) => sum + exports, 0);
  return count === 1 ? '1 export' : `${String(count)} exports`;
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
