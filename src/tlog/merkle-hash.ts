import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

/** RFC 6962 §2.1: the hash of an empty list. */
export const EMPTY_ROOT: Buffer = hash('sha256', '', 'buffer');

/** RFC 6962 §2.1: the hash of a leaf. A string is hashed as UTF-8. */
export function hashLeaf(leaf: string | Uint8Array): Buffer {
  return hash('sha256', typeof leaf === 'string' ? `\0${leaf}` : Buffer.concat([LEAF_PREFIX, leaf]), 'buffer');
}

/** RFC 6962 §2.1: the hash of a node. */
export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return hash('sha256', node, 'buffer');
}

const LEAF_PREFIX = Uint8Array.of(0);
const node = Buffer.alloc(1 + 2 * HASH_BYTES, 1);
