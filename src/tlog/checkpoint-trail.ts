import type { CompactRange } from './merkle.js';
import { ExportError, LineFault, LineSplitter } from './lines.js';
import type { SignedCheckpoint } from './checkpoint.js';
import type { KeyHistory } from './key-history.js';
import { type ConsistencyProof, isSameHash, verifyConsistency } from './proofs.js';
import { NoteError } from './signed-note.js';

/**
 * Checks an export against the checkpoints that were signed over time. When the export reaches the size of a
 * checkpoint, the leaves so far must have its root. If they do not, the alteration is between the checkpoint before and
 * this one. An export from leaf 0 shows that at once. Any other export shows it in its last line, which has the hashes
 * on its left.
 */
export class CheckpointTrail {
  /** The size of the next checkpoint in leaves. */
  nextSize = Infinity;
  /** The numbers of checkpoints that match, that are outside the exported range and that are newer than the export. */
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

  /**
   * Checks the checkpoints beyond the range. One of more leaves than the tree is newer, and the export does not cover
   * it. But if it was signed before the tree, the log had more leaves than the export shows.
   *
   * @throws ExportError
   */
  async checkRemaining(tree: SignedCheckpoint, proofLine: number): Promise<void> {
    this.#demandOrigin(tree.origin);
    while (this.#next) {
      const { size, time } = this.#next;
      if (size === tree.size) demandSameRoot(this.#next, tree, proofLine);
      if (size > tree.size && time && tree.time && time < tree.time) {
        throw new ExportError(describeCut(this.#next, tree), proofLine);
      }
      this[size < tree.size ? 'outside' : size > tree.size ? 'newer' : 'held'] += 1;
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
    if (this.#next && before?.size === this.#next.size) demandSameRoot(before, this.#next);
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

/** @throws ExportError */
function demandSameRoot({ size, root }: SignedCheckpoint, other: SignedCheckpoint, line?: number): void {
  if (isSameHash(root, other.root)) return;
  throw new ExportError(`two checkpoints of ${String(size)} leaves have different roots`, line);
}

function describeCut(larger: SignedCheckpoint, tree: SignedCheckpoint): string {
  const [one, other] = [larger, tree].map(({ size, time }) => `${String(size)} leaves (${time!.toISOString()})`);
  return `a checkpoint of ${one!} was signed before this tree of ${other!}: the log was cut, or a clock was wrong`;
}

const SIGNATURE = '\u2014 ';

/** Splits a file of appended notes into single notes. Blank lines between the notes are optional. */
export async function* readNotes(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  let note = '';
  let signed = false;
  for await (const line of splitLines(chunks)) {
    if (signed && !line.startsWith(SIGNATURE)) {
      yield note;
      [note, signed] = ['', false];
    }
    if (line === '' && note === '') continue;
    note += `${line}\n`;
    signed ||= line === '';
  }
  if (note !== '') yield note;
}

/**
 * Opens the notes of several files, such as one for each replica, in the order of their sizes.
 *
 * @param files the notes of each, oldest first
 * @throws ExportError that names the checkpoint by its number, from 1, and of several files the file by its number
 */
export async function* openCheckpoints(
  files: readonly AsyncIterable<string>[],
  keys: KeyHistory,
): AsyncGenerator<SignedCheckpoint> {
  const opened = files.map((notes, index) =>
    openNotes(notes, keys, files.length > 1 ? ` of file ${String(index + 1)}` : ''),
  );
  const take = async (file: (typeof opened)[number]): Promise<SignedCheckpoint | undefined> =>
    (await file.next()).value;
  try {
    const heads = await Promise.all(opened.map(take));
    for (;;) {
      const sizes = heads.map((head) => head?.size ?? Infinity);
      const smallest = sizes.indexOf(Math.min(...sizes));
      const head = heads[smallest];
      if (!head) return;
      yield head;
      heads[smallest] = await take(opened[smallest]!);
    }
  } finally {
    for (const file of opened) await file.return(undefined);
  }
}

async function* openNotes(
  notes: AsyncIterable<string>,
  keys: KeyHistory,
  ofFile: string,
): AsyncGenerator<SignedCheckpoint, undefined> {
  let number = 1;
  try {
    for await (const note of notes) {
      yield keys.open(note);
      number += 1;
    }
  } catch (error) {
    if (!(error instanceof NoteError || error instanceof ExportError)) throw error;
    throw new ExportError(`anchored checkpoint ${String(number)}${ofFile}: ${error.message}`);
  }
}

async function* splitLines(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const splitter = new LineSplitter();
  for await (const chunk of chunks) yield* splitter.push(chunk);
  yield* splitter.end();
}

/** @throws ExportError */
export function openOlderCheckpoint(note: string, keys: KeyHistory): SignedCheckpoint {
  try {
    return keys.open(note);
  } catch (error) {
    throw error instanceof NoteError ? new ExportError(`the older checkpoint: ${error.message}`) : error;
  }
}

/**
 * Demands that the log of an export continues the log of an older checkpoint. A consistency proof shows this. Without
 * one, the older size must lie within the exported range, where the trail of checkpoints has compared the roots, or the
 * two trees must have the same size.
 *
 * @throws LineFault about the proof's line
 */
export function demandContinuation(
  since: SignedCheckpoint,
  consistency: Pick<ConsistencyProof, 'from' | 'to' | 'proof'> | undefined,
  { from, to, checkpoint }: { readonly from: number; readonly to: number; readonly checkpoint: SignedCheckpoint },
): void {
  const [older, newer] = [String(since.size), String(checkpoint.size)];
  if (since.origin !== checkpoint.origin) {
    throw new LineFault(`belongs to ${checkpoint.origin}, but the older checkpoint belongs to ${since.origin}`);
  }
  if (since.size > checkpoint.size) {
    throw new LineFault(`has ${newer} leaves, but the older checkpoint has ${older}: the log was cut`);
  }
  if (!consistency) {
    const within = (since.size >= from && since.size <= to) || since.size === checkpoint.size;
    if (within) return;
    throw new LineFault(
      `needs a consistency proof: the older checkpoint of ${older} leaves ends outside the exported range`,
    );
  }
  if (consistency.from !== since.size || consistency.to !== checkpoint.size) {
    const [begin, end] = [String(consistency.from), String(consistency.to)];
    throw new LineFault(
      `goes from ${older} to ${newer} leaves, but the consistency proof goes from ${begin} to ${end}`,
    );
  }
  if (!verifyConsistency({ ...consistency, fromRoot: since.root, toRoot: checkpoint.root })) {
    throw new LineFault(
      'belongs to a log that does not continue the older checkpoint, or the consistency proof is for other trees',
    );
  }
}
