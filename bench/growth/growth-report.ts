import { type Cell, typical } from '../measure/cells.js';
import type { Measured } from '../measure/contestant.js';
import { aligned } from '../report/aligned.js';
import type { Asked } from './ask.js';
import type { Grown } from './contestants.js';
import type { Plan, Reading } from './explain.js';

/** The results by size, in the order of the sizes. */
export interface Growth {
  readonly cells: readonly Cell[];
  /** Milliseconds for which the oldest event was pending. */
  readonly lag: readonly { readonly median: number; readonly max: number }[];
  readonly asked: readonly Asked[];
  readonly plans: readonly Plan[];
}

/** The part of the smallest size's throughput that the largest may lose. */
const MAX_LOSS = 0.15;
/** Milliseconds for which an event may be pending. */
const MAX_LAG = 30_000;
/** Pages: a page of a list has fifty rows, each perhaps on a page of its own, and indexes grow by a level or two. */
const mayRead = (smallest: number): number => 2 * smallest + 400;
/** The log's check reads a portion of events (PORTION) and their leaves, each perhaps on a page of its own. */
const CHECK = { plan: 'WITH portion AS MATERIALIZED', pages: 8_000 };
/** Milliseconds for an answer to a person. */
const MAX_ANSWER = 1_000;
/** Rows of a table that a statement may scan whole, such as an empty month. */
const FEW = 1_000;

/** The figures of each size as parts of the smallest size's. */
export interface Findings {
  readonly sizes: readonly number[];
  readonly perSecond: Readonly<Record<string, readonly number[]>>;
  readonly p99: Readonly<Record<string, readonly number[]>>;
}

export function findings(grown: readonly Grown[], { cells }: Growth): Findings {
  const of = (load: string, value: (measured: Measured) => number): Record<string, number[]> => {
    const chosen = cells.filter((cell) => load in cell.load);
    return Object.fromEntries(
      Object.entries(Object.groupBy(chosen, ({ scenario }) => scenario)).map(([scenario, bySize]) => {
        const values = bySize.map((cell) => typical(cell, value));
        return [scenario, values.map((each) => each / values[0]!)];
      }),
    );
  };
  return {
    sizes: grown.map(({ population }) => population.size),
    perSecond: of('clients', ({ perSecond }) => perSecond),
    p99: of('share', ({ p99 }) => p99),
  };
}

/** Lists the figures that grow with the data and should not. */
export function verdicts(grown: readonly Grown[], growth: Growth): string[] {
  const { perSecond } = findings(grown, growth);
  const slower = Object.entries(perSecond).flatMap(([scenario, ratios]) =>
    ratios.at(-1)! < 1 - MAX_LOSS ? [`${scenario}: ${percent(ratios.at(-1)!)} of the smallest size's throughput`] : [],
  );
  const late = growth.lag.flatMap(({ max }, size) =>
    max > MAX_LAG ? [`${nameOf(grown[size]!)}: an event was pending for ${(max / 1_000).toFixed(0)} s`] : [],
  );
  const failed = growth.asked.flatMap(({ name, ms }) =>
    ms.flatMap((each) => {
      if (typeof each === 'string') return [`${name}: ${each}`];
      return each > MAX_ANSWER ? [`${name}: takes ${each.toFixed(0)} ms`] : [];
    }),
  );
  return [...slower, ...late, ...failed, ...growth.plans.filter(({ combined }) => !combined).flatMap(planVerdicts)];
}

function planVerdicts({ name, sizes }: Plan): string[] {
  const [smallest, largest] = [sizes[0]!, sizes.at(-1)!];
  const { scan } = largest;
  const allowed = mayRead(smallest.pages) + (name.startsWith(CHECK.plan) ? CHECK.pages : 0);
  return [
    ...(scan && scan.rows > FEW ? [`${name}: scans all ${String(scan.rows)} rows of ${scan.table}`] : []),
    ...(largest.pages > allowed
      ? [`${name}: grows from ${String(smallest.pages)} pages to ${String(largest.pages)}`]
      : []),
  ];
}

/** Renders throughput and p99 as ratios, the sequencer's lag, and the time and pages of each query at each size. */
export function growthTable(grown: readonly Grown[], growth: Growth): string {
  const { perSecond, p99 } = findings(grown, growth);
  const sizes = grown.map(nameOf);
  const ratios = [
    ...Object.entries(perSecond).map(([scenario, each]) => [
      `${scenario}, 32 clients: throughput`,
      ...each.map(percent),
    ]),
    ...Object.entries(p99).map(([scenario, each]) => [`${scenario}, half of capacity: p99`, ...each.map(percent)]),
    ['sequencer’s lag, ms: median', ...growth.lag.map(({ median }) => median.toFixed(0))],
    ['sequencer’s lag, ms: at most', ...growth.lag.map(({ max }) => max.toFixed(0))],
    ['seconds to load', ...grown.map(({ loadSeconds }) => loadSeconds.toFixed(0))],
  ];
  const shown = (each: number | string): string => (typeof each === 'string' ? 'FAILS' : each.toFixed(1));
  const asked = growth.asked.map(({ name, ms }) => [name, ...ms.map(shown)]);
  const pages = growth.plans.map(({ name, sizes: readings }) => [name, ...readings.map(told)]);
  return [
    aligned([['', ...sizes], ...ratios]),
    aligned([['answers, ms', ...sizes], ...asked]),
    aligned([['pages that PostgreSQL looked into', ...sizes], ...pages]),
  ].join('\n\n');
}

const told = ({ pages, scan }: Reading): string => `${scan && scan.rows > FEW ? 'SCAN ' : ''}${String(pages)}`;
const percent = (ratio: number): string => `${(ratio * 100).toFixed(0)} %`;
const nameOf = ({ population }: Grown): string => population.size.toLocaleString('en');
