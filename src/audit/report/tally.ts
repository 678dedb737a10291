export interface Counted<Value> {
  readonly key: readonly string[];
  readonly value: Value;
}

/** So many keys are told apart; what is beyond them is counted as one. */
const MAX_KEYS = 10_000;
const BEYOND = '(all others)';

/** Counts by one or more words. Memory does not grow beyond a bound, whatever the words are. */
export class Tally<Value> {
  readonly #values = new Map<string, Value>();

  readonly #initial: () => Value;
  readonly #maxKeys: number;

  constructor(initial: () => Value, maxKeys = MAX_KEYS) {
    [this.#initial, this.#maxKeys] = [initial, maxKeys];
  }

  /** What is counted under these words, to be added to. */
  of(...key: string[]): Value {
    const text = JSON.stringify(key);
    const known = this.#values.get(text);
    if (known !== undefined) return known;
    const own = this.#values.size < this.#maxKeys ? text : JSON.stringify([BEYOND, ...key.slice(1).map(() => '')]);
    const value = this.#values.get(own) ?? this.#initial();
    this.#values.set(own, value);
    return value;
  }

  /** undefined: nothing is. */
  find(...key: string[]): Value | undefined {
    return this.#values.get(JSON.stringify(key));
  }

  /** The most first; of equals in the order of their words. */
  ranked(weight: (value: Value) => number): Counted<Value>[] {
    const all = [...this.#values].map(([text, value]) => ({ key: JSON.parse(text) as string[], value, text }));
    return all.sort((a, b) => weight(b.value) - weight(a.value) || (a.text < b.text ? -1 : 1));
  }
}
