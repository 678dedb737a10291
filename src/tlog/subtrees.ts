import { hashNode } from './merkle-hash.js';

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
