import { CheckpointTrail, demandContinuation, openCheckpoints, openOlderCheckpoint } from './checkpoint-trail.js';
import type { SignedCheckpoint } from './checkpoint.js';
import { ExportError, LineFault, LineSplitter } from './lines.js';
import { KeyHistory } from './key-history.js';
import type { VerifierKey } from './keys.js';
import { CompactRange } from './merkle.js';
import { type LeafLine, parseExportLine, type ProofLine } from './export-lines.js';
import { NoteError } from './signed-note.js';
import { TILE_HEIGHT } from './tiles.js';
import { computeRangeRoot, isSameHash } from './proofs.js';

export interface VerifyOptions {
  /** The keys that signed before the present ones, as `KeyHistory` takes them. */
  readonly former?: readonly (readonly VerifierKey[])[] | undefined;
  /** The note of an older checkpoint. */
  readonly since?: string | undefined;
  /**
   * The proof that the log continues the checkpoint of `since`. Needed when the size of `since` is outside the exported
   * range.
   */
  readonly consistency?: { readonly from: number; readonly to: number; readonly proof: readonly Buffer[] } | undefined;
  /** The notes of the checkpoints that were signed over time, oldest first: of one file, or of several. */
  readonly anchored?: readonly AsyncIterable<string>[] | undefined;
  /** No event of this time or later may be erased. */
  readonly retainedSince?: Date | undefined;
  readonly onProgress?: ((bytes: number, lines: number) => void) | undefined;
}

/** The facts that an export proves. */
export interface ProvedExport {
  /** The leaves [from, to) of the tree that the checkpoint signs. */
  readonly from: number;
  readonly to: number;
  readonly events: number;
  readonly erased: number;
  readonly checkpoint: SignedCheckpoint;
  /** The times of the oldest and the newest event. */
  readonly span: readonly [Date, Date] | undefined;
  readonly since: SignedCheckpoint | undefined;
  readonly anchored: Pick<CheckpointTrail, 'held' | 'outside' | 'newer'> | undefined;
}

/**
 * Verifies an export of the log: NDJSON with the leaves in order and then their proof. Memory use does not grow with
 * the length of the export.
 *
 * @param chunks the bytes of the file in chunks of any size
 * @throws ExportError that names the first line that does not verify
 */
export async function verifyExport(
  chunks: AsyncIterable<Uint8Array | string>,
  keys: readonly VerifierKey[],
  options: VerifyOptions = {},
): Promise<ProvedExport> {
  const verifier = new ExportVerifier(keys, options);
  const splitter = new LineSplitter();
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await verifier.verifyLines(splitter.push(chunk));
      bytes += chunk.length;
      options.onProgress?.(bytes, verifier.line);
    }
    await verifier.verifyLines(splitter.end());
    return verifier.finish();
  } finally {
    await verifier.close();
  }
}

/** Verifies the lines of an export one after another. Every line must verify. */
class ExportVerifier {
  line = 0;
  readonly #keys: KeyHistory;
  readonly #options: VerifyOptions;
  readonly #since: SignedCheckpoint | undefined;
  readonly #trails: CheckpointTrail[] = [];
  readonly #anchoredTrail: CheckpointTrail | undefined;
  readonly #erasures: RetentionVerifier;
  #range: CompactRange | undefined;
  #nextSize = Infinity;
  #counts = { event: 0, erased: 0 };
  #span = { first: Infinity, last: -Infinity };
  #storedSubtree: string | undefined;
  #unprovedSubtree: number | undefined;
  #proved: ProvedExport | undefined;

  constructor(keys: readonly VerifierKey[], options: VerifyOptions) {
    [this.#keys, this.#options] = [new KeyHistory(keys, options.former), options];
    this.#erasures = new RetentionVerifier(options.retainedSince);
    // The anchored checkpoints come first: if both trails find a fault, they locate it more closely.
    if (options.anchored && options.anchored.length > 0) {
      this.#trails.push((this.#anchoredTrail = new CheckpointTrail(openCheckpoints(options.anchored, this.#keys))));
    }
    if (options.since !== undefined) {
      this.#since = openOlderCheckpoint(options.since, this.#keys);
      this.#trails.push(new CheckpointTrail(yieldOne(this.#since)));
    }
  }

  /** @throws ExportError */
  async verifyLines(lines: Iterable<string>): Promise<void> {
    try {
      for (const text of lines) {
        this.line += 1;
        if (this.#proved) throw new LineFault('nothing may follow the proof');
        const line = parseExportLine(text);
        if (line.kind === 'proof') this.#proved = await this.#prove(line);
        else if (this.#range) this.#addLeaf(this.#range, line);
        else this.#addLeaf(await this.#startRange(line.leafIndex), line);
        if (this.#range && this.#range.end === this.#nextSize) await this.#checkReached(this.#range);
      }
    } catch (error) {
      throw error instanceof LineFault ? new ExportError(error.message, this.line) : error;
    }
  }

  finish(): ProvedExport {
    if (this.#proved) return this.#proved;
    throw new ExportError(this.line === 0 ? 'the file is empty' : 'the file ends without the proof', this.line + 1);
  }

  async close(): Promise<void> {
    for (const trail of this.#trails) await trail.close();
  }

  async #startRange(from: number): Promise<CompactRange> {
    const range = (this.#range = new CompactRange(from));
    for (const trail of this.#trails) await trail.start(range);
    this.#nextSize = Math.min(...this.#trails.map(({ nextSize }) => nextSize));
    return range;
  }

  async #checkReached(range: CompactRange): Promise<void> {
    for (const trail of this.#trails) await trail.checkReached(range);
    this.#nextSize = Math.min(...this.#trails.map(({ nextSize }) => nextSize));
  }

  #addLeaf(range: CompactRange, leaf: LeafLine): void {
    const { leafIndex, hash, kind, time, subtree } = leaf;
    // A gap at the second line may be the fault of the first one, unless that is leaf 0.
    const first = this.line === 2 && range.begin > 0 ? 1 : this.line;
    if (leafIndex !== range.end) throw new ExportError(describeMisplaced(leafIndex, range.end), first, this.line);
    this.#storedSubtree = subtree;
    range.append(hash, this.#checkSubtree);
    if (this.#storedSubtree !== undefined) this.#unprovedSubtree ??= this.line;
    this.#erasures.add(leaf, this.line);
    this.#counts[kind] += 1;
    if (kind !== 'event' || time === undefined) return;
    if (time < this.#span.first) this.#span.first = time;
    if (time > this.#span.last) this.#span.last = time;
  }

  readonly #checkSubtree = (level: number, _index: number, hash: Buffer): void => {
    if (level !== TILE_HEIGHT || this.#storedSubtree === undefined) return;
    if (hash.toString('base64url') !== this.#storedSubtree) {
      const reason = 'these 256 leaves do not match the hash that the log stores for them';
      throw new ExportError(reason, this.line - 2 ** TILE_HEIGHT + 1, this.line);
    }
    this.#storedSubtree = undefined;
  };

  async #prove(proof: ProofLine): Promise<ProvedExport> {
    const checkpoint = openProofCheckpoint(proof.checkpoint, this.#keys);
    const range = this.#range ?? (await this.#startRange(proof.from));
    const { begin: from, end: to } = range;
    if (proof.from !== from) throw new ExportError(describeMisplaced(from, proof.from), 1);
    if (this.#unprovedSubtree !== undefined) {
      throw new ExportError('has the hash of 256 leaves, but does not complete them', this.#unprovedSubtree);
    }
    if (proof.to !== to) throw new LineFault(`is the proof, but leaf ${String(to)} should be here`);
    if (proof.treeSize !== checkpoint.size) {
      const [size, signed] = [String(proof.treeSize), String(checkpoint.size)];
      throw new LineFault(`is for a tree of ${size} leaves, but its checkpoint is for ${signed}`);
    }
    const root = this.#computeRoot(range, proof);
    for (const trail of this.#trails) trail.checkDeferred(CompactRange.of(0, from, proof.left));
    if (!isSameHash(root, checkpoint.root)) throw this.#makeRootError();
    if (this.#since) demandContinuation(this.#since, this.#options.consistency, { from, to, checkpoint });
    for (const trail of this.#trails) await trail.checkRemaining(checkpoint, this.line);
    const { event: events, erased } = this.#counts;
    const span = events > 0 && this.#span.first <= this.#span.last ? this.#toDates() : undefined;
    return { from, to, events, erased, checkpoint, span, since: this.#since, anchored: this.#anchoredTrail };
  }

  #computeRoot(range: CompactRange, proof: ProofLine): Buffer {
    try {
      return computeRangeRoot(range, proof, proof.treeSize);
    } catch (error) {
      throw new LineFault(`does not cover the other leaves: ${(error as Error).message}`);
    }
  }

  #makeRootError(): ExportError {
    const first = Math.max(...this.#trails.map(({ firstDoubtful }) => firstDoubtful), 1);
    const reason = 'these are not the leaves whose root was signed, or this is not their proof';
    return new ExportError(reason, Math.min(first, this.line), this.line);
  }

  #toDates(): readonly [Date, Date] {
    return [new Date(this.#span.first), new Date(this.#span.last)];
  }
}

/** @throws LineFault */
function openProofCheckpoint(note: string, keys: KeyHistory): SignedCheckpoint {
  try {
    return keys.open(note);
  } catch (error) {
    throw error instanceof NoteError ? new LineFault(error.message) : error;
  }
}

async function* yieldOne(checkpoint: SignedCheckpoint): AsyncGenerator<SignedCheckpoint> {
  yield await Promise.resolve(checkpoint);
}

function describeMisplaced(leafIndex: number, expected: number): string {
  return `is leaf ${String(leafIndex)}, but leaf ${String(expected)} should be here`;
}

/**
 * Distinguishes a deleted event from one whose retention had ended. Retention erases the oldest events first: it erases
 * no event while it keeps another one that is as old or older. This works only for lines that have the time of their
 * event.
 */
class RetentionVerifier {
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
