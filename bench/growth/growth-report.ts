import { type Cell, typical } from '../measure/cells.js';
import type { Measured } from '../measure/contestant.js';
import { aligned } from '../report/aligned.js';
import type { Asked } from './ask.js';
import type { Grown } from './contestants.js';
import type { Plan, Reading } from './explain.js';

/** What was found, each by size in the order of the sizes. */
export interface Growth {
  readonly cells: readonly Cell[];
  /** Milliseconds that the oldest event waited for its place in the log. */
  readonly lag: readonly { readonly median: number; readonly max: number }[];
  readonly asked: readonly Asked[];
  readonly plans: readonly Plan[];
}

/** Parts of the throughput at the smallest size that the largest may lack. */
const MAX_LOSS = 0.15;
/** Milliseconds: an event that waits longer is a failure of the log. */
const MAX_LAG = 30_000;
/** A page of a list is fifty rows, each perhaps on a page of its own, and indexes grow by a level or two. */
const mayRead = (smallest: number): number => 2 * smallest + 400;
/** The log's check takes so many events (PORTION) and their leaves, each perhaps on a page of its own. */
const CHECK = { plan: 'WITH portion AS MATERIALIZED', pages: 8_000 };
/** Milliseconds for an answer to who asks by hand. */
const MAX_ANSWER = 1_000;
/** Rows of a table that may be read from end to end, as of a month that is empty. */
const FEW = 1_000;

/** The figures that the growth is measured for, of each size as a part of the smallest's. */
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

/** What grows with the data and should not. */
export function verdicts(grown: readonly Grown[], growth: Growth): string[] {
  const { perSecond } = findings(grown, growth);
  const slower = Object.entries(perSecond).flatMap(([scenario, ratios]) =>
    ratios.at(-1)! < 1 - MAX_LOSS ? [`${scenario}: ${percent(ratios.at(-1)!)} of the smallest size's throughput`] : [],
  );
  const late = growth.lag.flatMap(({ max }, size) =>
    max > MAX_LAG ? [`${nameOf(grown[size]!)}: an event waited ${(max / 1_000).toFixed(0)} s for its place`] : [],
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
    ...(scan && scan.rows > FEW ? [`${name}: reads ${String(scan.rows)} rows of ${scan.table} from end to end`] : []),
    ...(largest.pages > allowed
      ? [`${name}: grows from ${String(smallest.pages)} pages to ${String(largest.pages)}`]
      : []),
  ];
}

/** Throughput and p99 as ratios, the sequencer's lag, and of each query what it took and read at each size. */
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
