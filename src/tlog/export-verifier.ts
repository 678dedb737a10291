import { openCheckpoints } from './anchored-checkpoints.js';
import { CheckpointTrail } from './checkpoint-trail.js';
import { CompactRange } from './compact-range.js';
import { demandContinuation, openOlderCheckpoint } from './continuation.js';
import { RetentionVerifier } from './retention-verifier.js';
import { ExportError, LineFault } from './export-error.js';
import { type LeafLine, parseExportLine, type ProofLine } from './export-lines.js';
import { NoteError } from './note-error.js';
import { openCheckpoint, type SignedCheckpoint } from './signed-checkpoint.js';
import { TILE_HEIGHT } from './stored-hashes.js';
import type { VerifierKey } from './verifier-key.js';
import type { ProvedExport, VerifyOptions } from './verify-export.js';
import { computeRangeRoot, isSameHash } from './verify-proof.js';

/** Verifies the lines of an export one after another. Every line must hold. */
export class ExportVerifier {
  line = 0;
  readonly #keys: readonly VerifierKey[];
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
    [this.#keys, this.#options] = [keys, options];
    this.#erasures = new RetentionVerifier(options.retainedSince);
    // The anchored checkpoints come first: if both trails find a fault, they locate it more closely.
    if (options.anchored) {
      this.#trails.push((this.#anchoredTrail = new CheckpointTrail(openCheckpoints(options.anchored, keys))));
    }
    if (options.since !== undefined) {
      this.#since = openOlderCheckpoint(options.since, keys);
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
    if (!this.#proved) throw new ExportError('the file ends without the proof', this.line + 1);
    return this.#proved;
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
function openProofCheckpoint(note: string, keys: readonly VerifierKey[]): SignedCheckpoint {
  try {
    return openCheckpoint(note, keys);
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
