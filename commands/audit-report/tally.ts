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
