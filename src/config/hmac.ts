import { hash } from 'node:crypto';

const BLOCK_BYTES = 64;
const HASH_BYTES = 32;
/** UTF-8 takes at most so many bytes for a unit of a string. */
const MAX_BYTES_OF_UNIT = 3;

// Not from Buffer's pool, because both hold a key after a call.
let inner = Buffer.alloc(4_096);
const outer = Buffer.alloc(BLOCK_BYTES + HASH_BYTES);

/**
 * Computes HMAC-SHA-256 (RFC 2104) of a text in UTF-8, by two one-shot hashes. `createHmac` makes a stream and a native
 * object for each text, which takes longer than the hashes of a short one.
 *
 * @param key at most 64 bytes
 */
export function computeHmac(key: Buffer, text: string): Buffer {
  if (key.length > BLOCK_BYTES) throw new RangeError('a key has at most 64 bytes');
  const most = BLOCK_BYTES + MAX_BYTES_OF_UNIT * text.length;
  if (inner.length < most) inner = Buffer.alloc(most);
  pad(inner, key, 0x36);
  pad(outer, key, 0x5c);
  const end = BLOCK_BYTES + inner.write(text, BLOCK_BYTES);
  // A string costs less than a Buffer, which needs an ArrayBuffer of its own.
  outer.write(hash('sha256', inner.subarray(0, end), 'latin1'), BLOCK_BYTES, 'latin1');
  return Buffer.from(hash('sha256', outer, 'latin1'), 'latin1');
}

function pad(block: Buffer, key: Buffer, byte: number): void {
  block.fill(byte, 0, BLOCK_BYTES);
  for (let index = 0; index < key.length; index += 1) block[index]! ^= key[index]!;
}
