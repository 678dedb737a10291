/** A set of places in the log, as ranges [from, to) in any order. */
export class LeafRanges {
  readonly #ranges: { from: number; to: number }[] = [];

  /** Adds a place. Places that follow each other become one range. */
  add(leaf: number): void {
    const last = this.#ranges.at(-1);
    if (last?.to === leaf) last.to = leaf + 1;
    else this.#ranges.push({ from: leaf, to: leaf + 1 });
  }

  /** Finds the first place in [from, to) that is not in the set; undefined if there is none. */
  findGap(from: number, to: number): number | undefined {
    let reached = from;
    for (const range of this.#ranges.toSorted((a, b) => a.from - b.from)) {
      if (reached >= to || range.from > reached) break;
      if (range.to > reached) reached = range.to;
    }
    return reached < to ? reached : undefined;
  }
}
