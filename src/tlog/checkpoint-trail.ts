import type { CompactRange } from './compact-range.js';
import { ExportError } from './export-error.js';
import type { SignedCheckpoint } from './signed-checkpoint.js';
import { isSameHash } from './verify-proof.js';

/**
 * Checks an export against the checkpoints that were signed over time. When the export reaches the size of a
 * checkpoint, the leaves so far must have its root. If they do not, the alteration is between the checkpoint before and
 * this one. An export from leaf 0 shows that at once. Any other export shows it in its last line, which has the hashes
 * on its left.
 */
export class CheckpointTrail {
  /** The size of the next checkpoint in leaves. */
  nextSize = Infinity;
  /** The numbers of checkpoints that hold, that are outside the exported range and that are newer than the export. */
  held = 0;
  outside = 0;
  newer = 0;
  readonly #checkpoints: AsyncIterator<SignedCheckpoint>;
  #next: SignedCheckpoint | undefined;
  #origin: string | undefined;
  #begin = 0;
  #heldTo = 0;
  readonly #deferred: { readonly checkpoint: SignedCheckpoint; readonly range: CompactRange }[] = [];

  /** @param checkpoints oldest first */
  constructor(checkpoints: AsyncIterable<SignedCheckpoint>) {
    this.#checkpoints = checkpoints[Symbol.asyncIterator]();
  }

  /** Call it before the first leaf. @throws ExportError */
  async start(range: CompactRange): Promise<void> {
    this.#begin = this.#heldTo = range.begin;
    await this.#advance();
    while (this.nextSize < range.begin) {
      this.outside += 1;
      await this.#advance();
    }
    await this.checkReached(range);
  }

  /** Call it when the range has reached the size of the next checkpoint. @throws ExportError */
  async checkReached(range: CompactRange): Promise<void> {
    while (this.#next?.size === range.end) {
      if (this.#begin === 0) this.#checkRoot(range, this.#next);
      else this.#deferred.push({ checkpoint: this.#next, range: range.copy() });
      await this.#advance();
    }
  }

  /** Checks the deferred checkpoints. @param left the leaves before the export. @throws ExportError */
  checkDeferred(left: CompactRange): void {
    for (const { checkpoint, range } of this.#deferred.splice(0)) this.#checkRoot(left.join(range), checkpoint);
  }

  /** The first line of the export that no checkpoint has confirmed yet. */
  get firstDoubtful(): number {
    return this.#heldTo - this.#begin + 1;
  }

  /** Checks the checkpoints beyond the range. @throws ExportError when one proves that the log had more leaves */
  async checkRemaining(tree: SignedCheckpoint, proofLine: number): Promise<void> {
    this.#demandOrigin(tree.origin);
    while (this.#next) {
      const { size, root, time } = this.#next;
      if (size < tree.size) this.outside += 1;
      else if (size === tree.size && isSameHash(root, tree.root)) this.held += 1;
      else if (size > tree.size && time && tree.time && time >= tree.time) this.newer += 1;
      else throw new ExportError(describeDisagreement(this.#next, tree), proofLine);
      await this.#advance();
    }
  }

  async close(): Promise<void> {
    await this.#checkpoints.return?.();
  }

  #checkRoot(whole: CompactRange, checkpoint: SignedCheckpoint): void {
    if (!isSameHash(whole.computeRoot(), checkpoint.root)) {
      const [first, last] = [this.firstDoubtful, Math.max(1, checkpoint.size - this.#begin)];
      const left =
        this.#begin === 0 ? '' : ', or the proof’s hashes on their left do not belong to the leaves before them';
      const reason = `these are not the leaves that were signed at size ${String(checkpoint.size)}${left}`;
      throw new ExportError(reason, Math.min(first, last), last);
    }
    [this.held, this.#heldTo] = [this.held + 1, checkpoint.size];
  }

  async #advance(): Promise<void> {
    const before = this.#next;
    const { value, done } = (await this.#checkpoints.next()) as IteratorResult<SignedCheckpoint, undefined>;
    this.#next = done ? undefined : value;
    if (this.#next) this.#demandOrigin(this.#next.origin);
    this.nextSize = this.#next?.size ?? Infinity;
    if (before && this.nextSize < before.size) {
      const [then, now] = [String(before.size), String(this.nextSize)];
      throw new ExportError(`a checkpoint of ${now} leaves was signed after one of ${then}: the log was cut`);
    }
  }

  #demandOrigin(origin: string): void {
    this.#origin ??= origin;
    if (origin !== this.#origin)
      throw new ExportError(`one checkpoint belongs to ${this.#origin}, another to ${origin}`);
  }
}

function describeDisagreement({ size }: SignedCheckpoint, tree: SignedCheckpoint): string {
  if (size === tree.size) return `two checkpoints of ${String(size)} leaves have different roots`;
  return `a checkpoint of ${String(size)} leaves was signed, but this tree has ${String(tree.size)}: the log was cut, or the export is older`; // prettier-ignore
}
