import { ExportError } from './export-error.js';
import type { LeafLine } from './export-lines.js';

/**
 * Retention takes the oldest events first: none is erased while one that is as old or older is kept. So an event whose
 * row was deleted is told from one whose retention had ended, where the line says when the event was.
 */
export class Erasures {
  readonly #retainedSince: number;
  #oldestKept = Infinity;
  #newestErased = -Infinity;
  #newestErasedLine = 0;

  /** @param retainedSince no event from then on may be erased */
  constructor(retainedSince?: Date) {
    this.#retainedSince = retainedSince?.getTime() ?? Infinity;
  }

  /** @throws ExportError of the line whose event should be there */
  add({ kind, time }: LeafLine, line: number): void {
    if (time === undefined) return;
    if (kind === 'event') {
      if (time <= this.#newestErased) throw deleted(this.#newestErasedLine, this.#newestErased);
      if (time < this.#oldestKept) this.#oldestKept = time;
      return;
    }
    if (time >= this.#oldestKept || time >= this.#retainedSince) throw deleted(line, time);
    if (time > this.#newestErased) [this.#newestErased, this.#newestErasedLine] = [time, line];
  }
}

function deleted(line: number, time: number): ExportError {
  const when = new Date(time).toISOString();
  return new ExportError(`the event, of ${when}, is erased, and its retention had not ended`, line);
}
