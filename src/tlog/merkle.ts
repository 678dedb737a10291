import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

/** RFC 6962 §2.1: the hash of an empty list. */
export const EMPTY_ROOT: Buffer = sha256('');

/** RFC 6962 §2.1: the hash of a leaf. A string is hashed as UTF-8. */
export function hashLeaf(leaf: string | Uint8Array): Buffer {
  return sha256(typeof leaf === 'string' ? `\0${leaf}` : Buffer.concat([LEAF_PREFIX, leaf]));
}

/** RFC 6962 §2.1: the hash of a node. */
export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256(node);
}

/** Takes the hash as a string, because a Buffer of node:crypto costs more than the hash of a node. */
function sha256(data: string | Uint8Array): Buffer {
  return Buffer.from(hash('sha256', data, 'latin1'), 'latin1');
}

const LEAF_PREFIX = Uint8Array.of(0);
const node = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** A perfect subtree of a log: the leaves [index·2^level, (index + 1)·2^level). */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** The largest perfect subtrees that cover the leaves [begin, end), left to right. */
export function listPerfectSubtrees(begin: number, end: number): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let position = begin; position < end;) {
    let [level, width] = [0, 1];
    while (position % (2 * width) === 0 && position + 2 * width <= end) [level, width] = [level + 1, 2 * width];
    subtrees.push({ level, index: position / width });
    position += width;
  }
  return subtrees;
}

/**
 * Joins the hashes of perfect subtrees to the hash of the subtree that they cover, which must be perfect or at the
 * right edge of the log. RFC 6962 §2.1 splits at the largest power of two, so the rightmost two hashes are joined
 * first.
 */
export function foldRight(hashes: readonly Uint8Array[]): Buffer {
  const joined = hashes.reduceRight((right, left) => hashNode(left, right));
  return Buffer.from(joined.buffer, joined.byteOffset, joined.byteLength);
}

/** Receives each perfect subtree of two or more leaves when its last leaf is appended, smaller subtrees first. */
export type SubtreeCompleted = (level: number, index: number, hash: Buffer) => void;

/**
 * The leaves [begin, end) of a log, kept as the hashes of the largest perfect subtrees that cover them, left to right.
 * There are at most 2·log2(end) hashes; a range from 0 has as many as `end` has ones in binary. A range grows at its
 * end, by a leaf or by the next range. A range from 0 is the frontier of a tree and has its root.
 */
export class CompactRange {
  readonly begin: number;
  #end: number;
  readonly #levels: number[];
  readonly #hashes: Buffer[];

  constructor(begin = 0) {
    this.begin = this.#end = begin;
    [this.#levels, this.#hashes] = [[], []];
  }

  /** @throws RangeError when the number of hashes does not fit [begin, end) */
  static of(begin: number, end: number, hashes: readonly Uint8Array[]): CompactRange {
    const range = new CompactRange(begin);
    const subtrees = listPerfectSubtrees(begin, end);
    if (end < begin || subtrees.length !== hashes.length) {
      const [expected, given] = [String(subtrees.length), String(hashes.length)];
      throw new RangeError(`[${String(begin)}, ${String(end)}) has ${expected} hashes, not ${given}`);
    }
    subtrees.forEach(({ level }, index) => {
      range.#push(level, Buffer.from(hashes[index]!));
    });
    return range;
  }

  /** The opposite of `serialise`. @throws RangeError when the number of bytes does not fit [begin, end) */
  static parse(begin: number, end: number, bytes: Uint8Array): CompactRange {
    const whole = Math.ceil(bytes.length / HASH_BYTES);
    const hashes = Array.from({ length: whole }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
    return CompactRange.of(begin, end, hashes);
  }

  /** The concatenated hashes. The caller must store `begin` and `end`. */
  serialise(): Buffer {
    return Buffer.concat(this.#hashes);
  }

  get end(): number {
    return this.#end;
  }

  /** Left to right. */
  get hashes(): readonly Buffer[] {
    return this.#hashes;
  }

  append(leafHash: Buffer, completed?: SubtreeCompleted): void {
    this.#push(0, leafHash, completed);
  }

  /**
   * Returns this range and the next one as one; changes neither.
   *
   * @throws RangeError unless `next` begins where this ends
   */
  join(next: CompactRange): CompactRange {
    if (next.begin !== this.#end) {
      throw new RangeError(`a range from ${String(next.begin)} does not follow a range to ${String(this.#end)}`);
    }
    const joined = CompactRange.of(this.begin, this.#end, this.#hashes);
    next.#hashes.forEach((hash, index) => {
      joined.#push(next.#levels[index]!, hash);
    });
    return joined;
  }

  copy(): CompactRange {
    return this.join(new CompactRange(this.#end));
  }

  /** RFC 6962 §2.1: the root of the tree of these leaves. @throws RangeError unless the range begins at 0 */
  computeRoot(): Buffer {
    if (this.begin !== 0) throw new RangeError('only a range from 0 has the root of a tree');
    return this.#hashes.length === 0 ? EMPTY_ROOT : foldRight(this.#hashes);
  }

  #push(level: number, hash: Buffer, completed?: SubtreeCompleted): void {
    if (hash.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
    const width = 2 ** level;
    let index = this.#end / width;
    this.#end += width;
    while (index % 2 === 1 && this.#levels.at(-1) === level) {
      hash = hashNode(this.#hashes.pop()!, hash);
      this.#levels.pop();
      index = (index - 1) / 2;
      level += 1;
      completed?.(level, index, hash);
    }
    this.#levels.push(level);
    this.#hashes.push(hash);
  }
}
