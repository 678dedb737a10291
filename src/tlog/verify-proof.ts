import { CompactRange } from './compact-range.js';
import { EMPTY_ROOT, HASH_BYTES, hashNode } from './merkle-hash.js';
import { listPerfectSubtrees } from './subtrees.js';

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
