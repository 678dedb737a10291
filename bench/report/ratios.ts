/**
 * The ratios of `service` to `before`, the service of another checkout. Both take turns, so each round gives a ratio that other
 * work of the machine changes little; the report has the median of the rounds and their range. Bytes are compared over all rounds.
 */
import { median } from '../load/latency.js';
import { bytesStored, type Cell, nameOf } from '../measure/cells.js';
import type { Measured } from '../measure/contestant.js';
import { aligned } from './aligned.js';

const FIGURES = {
  'per second': ({ perSecond }: Measured) => perSecond,
  'CPU: service': ({ cpu }: Measured) => cpu.service,
  database: ({ cpu }: Measured) => cpu.database,
  p99: ({ p99 }: Measured) => p99,
} as const;
type Figure = keyof typeof FIGURES;

const TITLES = Object.keys(FIGURES) as Figure[];

export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** The ratios under one load. */
export interface Ratios {
  readonly load: string;
  readonly figures: Readonly<Record<Figure, Ratio>>;
  readonly disk: number;
  readonly wal: number;
}

/** Returns one element for each load that both have borne. */
export function computeRatios(cells: readonly Cell[]): Ratios[] {
  return cells
    .filter(({ contender }) => contender === 'service')
    .flatMap((service) => {
      const load = nameOf(service);
      const before = cells.find((cell) => cell.contender === 'before' && nameOf(cell) === load);
      if (!before) return [];
      const figures = TITLES.map((title) => [title, compareRounds(service, before, FIGURES[title])] as const);
      const compareBytes = (kind: 'disk' | 'wal'): number => bytesStored(service, kind) / bytesStored(before, kind);
      return [
        {
          load,
          disk: compareBytes('disk'),
          wal: compareBytes('wal'),
          figures: Object.fromEntries(figures) as Record<Figure, Ratio>,
        },
      ];
    });
}

function compareRounds(service: Cell, before: Cell, figure: (measured: Measured) => number): Ratio {
  const ratios = service.rounds.map((round, index) => figure(round) / figure(before.rounds[index]!));
  return { median: median(ratios), least: Math.min(...ratios), greatest: Math.max(...ratios) };
}

export function ratioTable(ratios: readonly Ratios[]): string {
  const lines = ratios.map(({ load, figures, disk, wal }) => [
    `  ${load}`,
    ...TITLES.map((title) => formatRatio(figures[title])),
    ...[disk, wal].map((bytes) => (Number.isFinite(bytes) ? bytes.toFixed(2) : '-')),
  ]);
  return aligned([['service ÷ before: median (range of the rounds)', ...TITLES, 'disk', 'WAL'], ...lines]);
}

function formatRatio({ median: middle, least, greatest }: Ratio): string {
  if (!Number.isFinite(middle)) return '-';
  return `${middle.toFixed(2)} (${least.toFixed(2)}–${greatest.toFixed(2)})`;
}
