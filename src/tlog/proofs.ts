import { CompactRange, EMPTY_ROOT, foldRight, HASH_BYTES, hashNode, listPerfectSubtrees } from './merkle.js';
import { type HashReader, SubtreeReader } from './tiles.js';

/** The hashes of the perfect subtrees that cover [0, from) and [to, size), each left to right. */
export interface RangeProof {
  readonly left: readonly Buffer[];
  readonly right: readonly Buffer[];
}

/** The leaves [begin, end) of a subtree. */
type Leaves = readonly [begin: number, end: number];

/** RFC 6962 §2.1: the root of the first `size` leaves. */
export async function readRoot(reader: HashReader, size: number): Promise<Buffer> {
  demandOrder([0, size]);
  return size === 0 ? EMPTY_ROOT : readSubtreeHash(new SubtreeReader(reader, size), [0, size]);
}

/** RFC 6962 §2.1.1: the hashes beside the path from the leaf to the root. */
export async function makeInclusionProof(reader: HashReader, index: number, size: number): Promise<Buffer[]> {
  demandOrder([0, index, size - 1]);
  return readSubtreeHashes(reader, size, listInclusionPath(index, [0, size]));
}

/** RFC 6962 §2.1.2. The proof is empty when `from` is 0 or `to`. */
export async function makeConsistencyProof(reader: HashReader, from: number, to: number): Promise<Buffer[]> {
  demandOrder([0, from, to]);
  return from === 0 ? [] : readSubtreeHashes(reader, to, listConsistencyPath(from, [0, to], true));
}

export async function makeRangeProof(reader: HashReader, from: number, to: number, size: number): Promise<RangeProof> {
  demandOrder([0, from, to, size]);
  const hashes = new SubtreeReader(reader, size);
  const readCovering = async ([begin, end]: Leaves): Promise<Buffer[]> => {
    const covered: Buffer[] = [];
    for (const subtree of listPerfectSubtrees(begin, end)) covered.push(await hashes.readHash(subtree));
    return covered;
  };
  return { left: await readCovering([0, from]), right: await readCovering([to, size]) };
}

/** RFC 6962 §2.1.1: PATH(m, D[n]). */
function listInclusionPath(index: number, [begin, end]: Leaves): Leaves[] {
  if (end - begin === 1) return [];
  const middle = begin + findSplit(end - begin);
  return index < middle
    ? [...listInclusionPath(index, [begin, middle]), [middle, end]]
    : [...listInclusionPath(index, [middle, end]), [begin, middle]];
}

/** RFC 6962 §2.1.2: SUBPROOF(m, D[n], b). */
function listConsistencyPath(from: number, [begin, end]: Leaves, known: boolean): Leaves[] {
  if (from === end) return known ? [] : [[begin, end]];
  const middle = begin + findSplit(end - begin);
  return from <= middle
    ? [...listConsistencyPath(from, [begin, middle], known), [middle, end]]
    : [...listConsistencyPath(from, [middle, end], false), [begin, middle]];
}

/** The largest power of two that is smaller than `count`. */
function findSplit(count: number): number {
  let power = 1;
  while (2 * power < count) power *= 2;
  return power;
}

async function readSubtreeHashes(reader: HashReader, size: number, path: readonly Leaves[]): Promise<Buffer[]> {
  const subtrees = new SubtreeReader(reader, size);
  const hashes: Buffer[] = [];
  for (const leaves of path) hashes.push(await readSubtreeHash(subtrees, leaves));
  return hashes;
}

async function readSubtreeHash(subtrees: SubtreeReader, [begin, end]: Leaves): Promise<Buffer> {
  const hashes: Buffer[] = [];
  for (const subtree of listPerfectSubtrees(begin, end)) hashes.push(await subtrees.readHash(subtree));
  return foldRight(hashes);
}

function demandOrder(numbers: readonly number[]): void {
  const ordered = numbers.every((number, i) => Number.isSafeInteger(number) && number >= (numbers[i - 1] ?? 0));
  if (!ordered) throw new RangeError(`${numbers.join(', ')} are not sizes of a log in ascending order`);
}

export interface InclusionProof {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

export interface ConsistencyProof {
  readonly from: number;
  readonly to: number;
  readonly proof: readonly Uint8Array[];
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
}

/** RFC 9162 §2.1.3.2 */
export function verifyInclusion({ index, size, leafHash, proof, root }: InclusionProof): boolean {
  if (!areSizes(index, size) || index >= size || !areHashes([leafHash, ...proof])) return false;
  const walk = new EdgeWalk(index, size - 1);
  let hash = leafHash;
  for (const sibling of proof) {
    if (walk.isAtRoot) return false;
    hash = walk.climbToLeftSibling() ? hashNode(sibling, hash) : hashNode(hash, sibling);
    walk.climb();
  }
  return walk.isAtRoot && isSameHash(hash, root);
}

/** RFC 9162 §2.1.4.2. Every tree continues the empty one. */
export function verifyConsistency({ from, to, proof, fromRoot, toRoot }: ConsistencyProof): boolean {
  if (!areSizes(from, to) || from > to || !areHashes(proof)) return false;
  if (from === to) return proof.length === 0 && isSameHash(fromRoot, toRoot);
  if (from === 0) return proof.length === 0 && isSameHash(fromRoot, EMPTY_ROOT);
  if (proof.length === 0) return false;
  const walk = new EdgeWalk(from - 1, to - 1);
  walk.climbWhileRight();
  const [first, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof;
  if (!areHashes([first!])) return false;
  let [older, newer] = [first!, first!];
  for (const hash of rest) {
    if (walk.isAtRoot) return false;
    if (walk.climbToLeftSibling()) [older, newer] = [hashNode(hash, older), hashNode(hash, newer)];
    else newer = hashNode(newer, hash);
    walk.climb();
  }
  return walk.isAtRoot && isSameHash(older, fromRoot) && isSameHash(newer, toRoot);
}

/**
 * Computes the root of a tree of `size` leaves. `left` and `right` are the hashes of the perfect subtrees that cover
 * the leaves before and after `range`.
 *
 * @throws RangeError when `left` or `right` has the wrong number of hashes or an invalid hash
 */
export function computeRangeRoot(
  range: CompactRange,
  { left, right }: { readonly left: readonly Uint8Array[]; readonly right: readonly Uint8Array[] },
  size: number,
): Buffer {
  return CompactRange.of(0, range.begin, left)
    .join(range)
    .join(CompactRange.of(range.end, size, right))
    .computeRoot();
}

export function isSameHash(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** Climbs from a node and from the last node of its level to the root: fn and sn of RFC 9162 §2.1.3.2. */
class EdgeWalk {
  #node: number;
  #last: number;

  constructor(node: number, last: number) {
    [this.#node, this.#last] = [node, last];
  }

  get isAtRoot(): boolean {
    return this.#last === 0;
  }

  /** Tells if the sibling is on the left. A node at the right edge without a sibling climbs until it has one. */
  climbToLeftSibling(): boolean {
    if (this.#node % 2 === 1) return true;
    if (this.#node !== this.#last) return false;
    while (this.#node % 2 === 0 && this.#node !== 0) this.climb();
    return true;
  }

  climbWhileRight(): void {
    while (this.#node % 2 === 1) this.climb();
  }

  climb(): void {
    [this.#node, this.#last] = [Math.floor(this.#node / 2), Math.floor(this.#last / 2)];
  }
}

function isPowerOfTwo(size: number): boolean {
  return listPerfectSubtrees(0, size).length === 1;
}

function areSizes(...sizes: number[]): boolean {
  return sizes.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every(({ length }) => length === HASH_BYTES);
}
