export interface Counted<Value> {
  readonly key: readonly string[];
  readonly value: Value;
}

/** The number of distinct keys. All further keys count as one. */
const MAX_KEYS = 10_000;
const BEYOND = '(all others)';

/** Counts by a key of one or more words. Memory is bounded for any number of distinct keys. */
export class Tally<Value> {
  readonly #values = new Map<string, Value>();

  readonly #initial: () => Value;
  readonly #maxKeys: number;

  constructor(initial: () => Value, maxKeys = MAX_KEYS) {
    [this.#initial, this.#maxKeys] = [initial, maxKeys];
  }

  /** The mutable value of this key; makes it if it is new. */
  findOrAdd(...key: string[]): Value {
    const text = JSON.stringify(key);
    const known = this.#values.get(text);
    if (known !== undefined) return known;
    const own = this.#values.size < this.#maxKeys ? text : JSON.stringify([BEYOND, ...key.slice(1).map(() => '')]);
    const value = this.#values.get(own) ?? this.#initial();
    this.#values.set(own, value);
    return value;
  }

  /** The value of this key; undefined if it has none. */
  find(...key: string[]): Value | undefined {
    return this.#values.get(JSON.stringify(key));
  }

  /** All values, the greatest weight first; equal weights in the order of their keys. */
  rank(weight: (value: Value) => number): Counted<Value>[] {
    const all = [...this.#values].map(([text, value]) => ({ key: JSON.parse(text) as string[], value, text }));
    return all.sort((a, b) => weight(b.value) - weight(a.value) || (a.text < b.text ? -1 : 1));
  }
}

export interface HourCounts {
  events: number;
  accepted: number;
  refused: number;
}

export interface Bucket extends Readonly<HourCounts> {
  readonly start: Date;
}

export interface Series {
  readonly buckets: readonly Bucket[];
  /** The width of each bucket in hours. */
  readonly hours: number;
}

const HOUR_MS = 3_600_000;
const WIDTHS = [1, 3, 6, 12, 24, 24 * 7, 24 * 28];
/** Ten years. */
const MAX_HOURS = 87_660;

/**
 * Counts the events of each hour (UTC). Memory grows with the hours, up to ten years of them, and not with the events.
 */
export class HourlyCounts {
  readonly #hours = new Map<number, HourCounts>();

  /** The counts of the hour; undefined when the time is not a number or ten years of hours are in use. */
  findOrAdd(time: number): HourCounts | undefined {
    const hour = Math.floor(time / HOUR_MS);
    const known = this.#hours.get(hour);
    if (known || Number.isNaN(hour) || this.#hours.size >= MAX_HOURS) return known;
    const counts = { events: 0, accepted: 0, refused: 0 };
    this.#hours.set(hour, counts);
    return counts;
  }

  listBusiest(count: number): Bucket[] {
    const hours = [...this.#hours].sort(([a, one], [b, other]) => other.events - one.events || a - b);
    return hours.slice(0, count).map(([hour, counts]) => ({ start: new Date(hour * HOUR_MS), ...counts }));
  }

  /** The time from the first hour to the last, in the narrowest buckets that number at most `maxBuckets`. */
  toSeries(maxBuckets: number): Series {
    let [first, last] = [Infinity, -Infinity];
    for (const hour of this.#hours.keys()) [first, last] = [Math.min(first, hour), Math.max(last, hour)];
    if (first > last) return { buckets: [], hours: 1 };
    const hours =
      WIDTHS.find((width) => Math.floor(last / width) - Math.floor(first / width) < maxBuckets) ??
      Math.ceil((last - first + 1) / maxBuckets);
    const begin = Math.floor(first / hours);
    const buckets = Array.from({ length: Math.floor(last / hours) - begin + 1 }, (_, index) => ({
      start: new Date((begin + index) * hours * HOUR_MS),
      events: 0,
      accepted: 0,
      refused: 0,
    }));
    for (const [hour, counts] of this.#hours) {
      const bucket = buckets[Math.floor(hour / hours) - begin]!;
      bucket.events += counts.events;
      bucket.accepted += counts.accepted;
      bucket.refused += counts.refused;
    }
    return { buckets, hours };
  }
}
