import type { Schemas } from '../../clients/typescript/src/client.ts';
import { EXIT } from '../command-line.js';
import { type Command, defineServiceCommand, demand, RP } from './command.js';
import { readTime, TIME_FORMS } from './given-time.js';
import { formatTime, type Printer } from './printer.js';

type Statistics = Schemas['Statistics'];
type Hour = Statistics['ceremonies']['byHour'][number];

/** Adds up the hours of each ceremony. */
function addUp(
  hours: readonly Hour[],
): { ceremony: string; begun: number; accepted: number; refused: number; rate: string }[] {
  return [...Map.groupBy(hours, ({ ceremony }) => ceremony)].map(([ceremony, of]) => {
    const sum = (pick: (hour: Hour) => number): number => of.reduce((total, hour) => total + pick(hour), 0);
    const [accepted, refused] = [sum((hour) => hour.accepted), sum(countRefused)];
    const rate = accepted + refused === 0 ? '-' : `${((100 * accepted) / (accepted + refused)).toFixed(1)} %`;
    return { ceremony, begun: sum(({ begun }) => begun), accepted, refused, rate };
  });
}

const countRefused = ({ refused }: Hour): number => Object.values(refused).reduce((total, count) => total + count, 0);

function listReasons(hours: readonly Hour[]): [reason: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { refused } of hours)
    for (const [reason, count] of Object.entries(refused)) counts.set(reason, (counts.get(reason) ?? 0) + count);
  return [...counts].sort(([, a], [, b]) => b - a);
}

function show(printer: Printer, statistics: Statistics): void {
  const { rpId, from, to, credentials, ceremonies } = statistics;
  printer.showRecord(statistics, {
    'relying party': rpId,
    active: credentials?.byStatus.active ?? 'not counted yet',
    suspended: credentials?.byStatus.suspended,
    revoked: credentials?.byStatus.revoked,
    'unused for 90 days': credentials?.unusedFor90Days,
    counted: credentials === null ? undefined : formatTime(credentials.computedAt),
    ceremonies: `from ${formatTime(from) ?? ''} to ${formatTime(to) ?? ''}`,
    'never answered': `${ceremonies.neverAnswered.toLocaleString('en')} of ${ceremonies.begun.toLocaleString('en')} challenges`,
  });
  if (!printer.isJson) showTables(printer, statistics);
}

function showTables(printer: Printer, { credentials, ceremonies: { byHour } }: Statistics): void {
  const [totals, reasons] = [addUp(byHour), listReasons(byHour)];
  if (totals.length > 0) {
    printer.write('');
    printer.showTable(totals, {
      ceremony: ({ ceremony }) => ceremony,
      begun: ({ begun }) => begun,
      refused: ({ refused }) => refused,
      accepted: ({ accepted }) => accepted,
      'accepted of answers': ({ rate }) => rate,
    });
  }
  if (reasons.length > 0) {
    printer.write('');
    printer.showTable(reasons, { refused: ([, count]) => count, reason: ([reason]) => reason });
  }
  if (credentials && credentials.byModel.length > 0) {
    printer.write('');
    printer.showTable(credentials.byModel, {
      passkeys: (model) => model.credentials,
      model: ({ name, aaguid }) => name ?? aaguid,
    });
  }
}

export const STATISTICS: readonly Command[] = [
  defineServiceCommand(
    ['statistics'],
    {
      usage: ['--rp RPID [--from TIME] [--to TIME]'],
      about: 'Counts the passkeys of a relying party, and its ceremonies by outcome and reason.',
      needs: 'statistics:read',
      options: {
        rp: RP,
        from: {
          value: 'TIME',
          text: `The first hour, a whole one of UTC; a day before the end without it. ${TIME_FORMS}`,
        },
        to: {
          value: 'TIME',
          text: 'The end of the last hour; that of the present one without it. 31 days at most.',
        },
      },
      examples: [
        '--rp login.example.com',
        '--rp login.example.com --from 2026-03-01 --to 2026-03-02T12:00:00Z -o json',
      ],
    },
    async ({ values }, { client, printer, signal }) => {
      const [from, to] = [readTime('--from', values.from), readTime('--to', values.to)];
      const query = {
        rpId: demand('--rp', values.rp),
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
      };
      show(printer, await client.getStatistics(query, { signal }));
      return EXIT.done;
    },
  ),
];
