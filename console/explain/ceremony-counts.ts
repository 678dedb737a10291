import type { components } from '../../clients/typescript/src/contract.js';

type Schemas = components['schemas'];
type Hour = Schemas['CeremonyStatistics']['byHour'][number];
export type Ceremony = Hour['ceremony'];

export const CEREMONIES: readonly Ceremony[] = ['registration', 'authentication', 'confirmation', 'payment'];

export interface Series {
  readonly name: string;
  /** One for each time. */
  readonly counts: readonly number[];
  readonly total: number;
}

export interface Timeline {
  /** When each period begins. */
  readonly times: readonly Date[];
  /** Hours in a period: 1, or 24 where there would be too many. */
  readonly hours: number;
  readonly begun: Series;
  readonly accepted: Series;
  readonly refused: Series;
  /** By reason, the most frequent first. */
  readonly reasons: readonly Series[];
}

const HOUR_MS = 3_600_000;
/** A week of hours is the most that a plot shows well. */
const MAX_HOURS = 168;

/**
 * Adds up the counts of hours, and fills those without any.
 *
 * @param ceremony undefined for all
 */
export function layOut(
  statistics: Pick<Schemas['Statistics'], 'from' | 'to' | 'ceremonies'>,
  ceremony?: Ceremony,
): Timeline {
  const [from, to] = [Date.parse(statistics.from), Date.parse(statistics.to)];
  const hours = (to - from) / HOUR_MS > MAX_HOURS ? 24 : 1;
  const length = Math.max(1, Math.ceil((to - from) / HOUR_MS / hours));
  const times = Array.from({ length }, (_, at) => new Date(from + at * hours * HOUR_MS));
  const counted = new Map<string, number[]>();
  const add = (name: string, hour: string, count: number): void => {
    const counts = counted.get(name) ?? new Array<number>(length).fill(0);
    const at = Math.floor((Date.parse(hour) - from) / HOUR_MS / hours);
    if (at < 0 || at >= length) return;
    counts[at] = (counts[at] ?? 0) + count;
    counted.set(name, counts);
  };
  for (const each of statistics.ceremonies.byHour) {
    if (ceremony !== undefined && each.ceremony !== ceremony) continue;
    add(' begun', each.hour, each.begun);
    add(' accepted', each.hour, each.accepted);
    for (const [reason, count] of Object.entries(each.refused)) {
      add(' refused', each.hour, count);
      add(reason, each.hour, count);
    }
  }
  const seriesOf = (key: string): Series => {
    const counts = counted.get(key) ?? new Array<number>(length).fill(0);
    return { name: key.trim(), counts, total: counts.reduce((sum, count) => sum + count, 0) };
  };
  const reasons = [...counted.keys()].filter((key) => !key.startsWith(' ')).map(seriesOf);
  return {
    ...{ times, hours },
    ...{ begun: seriesOf(' begun'), accepted: seriesOf(' accepted'), refused: seriesOf(' refused') },
    reasons: reasons.toSorted((one, other) => other.total - one.total || (one.name < other.name ? -1 : 1)),
  };
}

/** The whole hours of the last days, as the statistics want them. @param days 1 to 31 */
export function pickPeriod(days: number, now: Date): { readonly from: string; readonly to: string } {
  const to = Math.ceil(now.getTime() / HOUR_MS) * HOUR_MS;
  return { from: new Date(to - days * 24 * HOUR_MS).toISOString(), to: new Date(to).toISOString() };
}

/** A share as people read it: `12 %`, `0.3 %`, and a dash where there is nothing to divide by. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return '–';
  const percent = (part / whole) * 100;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}
