import { openCheckpoint, type SignedCheckpoint } from './checkpoint.js';
import type { VerifierKey } from './keys.js';
import { NoteError, parseNote } from './signed-note.js';

/**
 * Opens checkpoints with the keys of their time. The key ids in a note select the keys. A log whose keys were replaced
 * has checkpoints of the old keys, then perhaps checkpoints that old and new keys have signed, then checkpoints of the
 * new keys. So once the old keys are gone from a checkpoint, they may not come back in one of more leaves: otherwise
 * the thief of a replaced key could continue the log.
 */
export class KeyHistory {
  readonly #times: readonly (readonly VerifierKey[])[];
  /** For each time: the fewest leaves of a checkpoint that lacks the keys of every earlier time. */
  readonly #begin: number[];
  /** For each time: the most leaves of a checkpoint that only keys of earlier times have signed. */
  readonly #end: number[];

  /**
   * @param keys the present keys
   * @param former the keys before them, a list for each time, the oldest first
   */
  constructor(keys: readonly VerifierKey[], former: readonly (readonly VerifierKey[])[] = []) {
    this.#times = [...former, keys];
    this.#begin = this.#times.map(() => Infinity);
    this.#end = this.#times.map(() => -Infinity);
  }

  /**
   * Verifies a note. Every key of one time must have signed it. If the keys of several times have, all of their
   * signatures must be valid.
   *
   * @param about see `openCheckpoint`
   * @throws NoteError
   */
  open(note: string, about?: string): SignedCheckpoint {
    const { signatures } = parseNote(note);
    const hasSigned = (key: VerifierKey): boolean =>
      signatures.some(({ name, keyId }) => name === key.name && keyId === key.keyId);
    const signed = [...this.#times.keys()].filter((time) => this.#times[time]!.every(hasSigned));
    if (signed.length === 0) {
      const nearest = this.#times.findLast((keys) => keys.some(hasSigned));
      return openCheckpoint(note, nearest ?? this.#times.at(-1)!, about);
    }
    const keys = new Map(signed.flatMap((time) => this.#times[time]!.map((key) => [`${key.name}+${key.keyId}`, key])));
    const checkpoint = openCheckpoint(note, [...keys.values()], about);
    this.#demandOrder(checkpoint.size, signed[0]!, signed.at(-1)!);
    return checkpoint;
  }

  /** @param first the first and the last time whose keys have signed */
  #demandOrder(size: number, first: number, last: number): void {
    for (const time of this.#times.keys()) {
      if (first >= time) this.#begin[time] = Math.min(this.#begin[time]!, size);
      if (last < time) this.#end[time] = Math.max(this.#end[time]!, size);
      const [begin, end] = [this.#begin[time]!, this.#end[time]!];
      if (begin >= end) continue;
      throw new NoteError(
        `former keys alone have signed a checkpoint of ${String(end)} leaves, but they had been replaced at ${String(begin)} leaves`,
      );
    }
  }
}
