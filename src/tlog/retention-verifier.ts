import { ExportError } from './export-error.js';
import type { LeafLine } from './export-lines.js';

/**
 * Distinguishes a deleted event from one whose retention had ended. Retention erases the oldest events first: it erases
 * no event while it keeps another one that is as old or older. This works only for lines that have the time of their
 * event.
 */
export class RetentionVerifier {
  readonly #retainedSince: number;
  #oldestKept = Infinity;
  #newestErased = -Infinity;
  #newestErasedLine = 0;

  /** @param retainedSince no event of this time or later may be erased */
  constructor(retainedSince?: Date) {
    this.#retainedSince = retainedSince?.getTime() ?? Infinity;
  }

  /** @throws ExportError about the line whose event should exist */
  add({ kind, time }: LeafLine, line: number): void {
    if (time === undefined) return;
    if (kind === 'event') {
      if (time <= this.#newestErased) throw makeDeletedError(this.#newestErasedLine, this.#newestErased);
      if (time < this.#oldestKept) this.#oldestKept = time;
      return;
    }
    if (time >= this.#oldestKept || time >= this.#retainedSince) throw makeDeletedError(line, time);
    if (time > this.#newestErased) [this.#newestErased, this.#newestErasedLine] = [time, line];
  }
}

function makeDeletedError(line: number, time: number): ExportError {
  const renderTime = new Date(time).toISOString();
  return new ExportError(`the event of ${renderTime} is erased, but its retention had not ended`, line);
}
