import { median } from '../load/latency.js';
import { aligned } from '../report/aligned.js';
import type { Panel } from '../report/line-plot.js';
import type { Sample } from './soak.js';
import { type TABLES } from './tables.js';

const MIB = 2 ** 20;
/** Maximum of lines in the table; the plot has all samples. */
const SHOWN = 20;

/** A curve of the soak. */
interface Curve {
  readonly name: string;
  readonly unit: string;
  readonly of: (sample: Sample) => number;
  /** The growth allowed by the end, as a part of itself plus a constant; undefined if it should grow. */
  readonly may?: { readonly factor: number; readonly plus: number };
}

const total =
  (table: (typeof TABLES)[number]) =>
  (sample: Sample): number =>
    (sample.tables[table].heap + sample.tables[table].indexes) / MIB;

/** Query times vary more than sizes do. A table of a few pages may double without a cause. */
const CURVES: readonly Curve[] = [
  {
    name: 'RSS of the service',
    unit: 'MiB',
    of: ({ measured }) => measured.memory.service,
    may: { factor: 0.1, plus: 0 },
  },
  { name: 'p99', unit: 'ms', of: ({ measured }) => measured.p99, may: { factor: 0.25, plus: 2 } },
  { name: 'credential', unit: 'MiB', of: total('credential'), may: { factor: 0.1, plus: 1 } },
  { name: 'sequencer’s lag, at most', unit: 'ms', of: ({ lag }) => lag.max, may: { factor: 0.5, plus: 1_000 } },
  { name: 'dead rows of credential', unit: 'rows', of: ({ tables }) => tables.credential.dead },
  { name: 'audit log', unit: 'MiB', of: (sample) => LOG.reduce((sum, table) => sum + total(table)(sample), 0) },
  { name: 'spent challenges', unit: 'MiB', of: total('spent_challenge') },
  { name: 'checkpoints in the log', unit: 'MiB', of: total('audit_checkpoint') },
  { name: 'WAL for an authentication', unit: 'KiB', of: ({ wal, measured }) => wal / 1_024 / measured.completed },
];
const LOG = ['audit_event', 'audit_leaf', 'audit_node', 'audit_checkpoint'] as const;

export interface Verdict {
  readonly name: string;
  readonly flat: boolean;
  /** Medians of the second and the last quarter; the first quarter is the warm-up. */
  readonly early: string;
  readonly late: string;
}

export function verdictsOf(samples: readonly Sample[]): Verdict[] {
  const quarter = (nth: number): Sample[] =>
    samples.slice(Math.floor((samples.length * nth) / 4), Math.floor((samples.length * (nth + 1)) / 4));
  return CURVES.flatMap(({ name, unit, of, may }) => {
    if (!may) return [];
    const [early, late] = [median(quarter(1).map(of)), median(quarter(3).map(of))];
    const shown = (value: number): string => `${value.toFixed(1)} ${unit}`;
    return [{ name, flat: late <= early * (1 + may.factor) + may.plus, early: shown(early), late: shown(late) }];
  });
}

export function soakTable(samples: readonly Sample[]): string {
  const step = Math.max(1, Math.ceil(samples.length / SHOWN));
  const shown = samples.filter((_, index) => (samples.length - 1 - index) % step === 0);
  const titles = ['minute', '1/s', ...CURVES.map(({ name, unit }) => `${name}, ${unit}`)];
  const lines = shown.map((sample) => [
    (sample.at / 60).toFixed(1),
    sample.measured.perSecond.toFixed(0),
    ...CURVES.map(({ of }) => of(sample).toFixed(1)),
  ]);
  // Each curve has a line, because the curves do not fit beside each other.
  const turned = titles.map((title, column) => [title, ...lines.map((line) => line[column]!)]);
  return aligned(turned);
}

export function panelsOf(samples: readonly Sample[]): Panel[] {
  const x = samples.map(({ at }) => at / 60);
  return CURVES.map(({ name, unit, of }) => ({ title: name, unit, x, y: samples.map(of) }));
}
