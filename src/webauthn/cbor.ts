import { decodeFirst as cborgDecodeFirst, type DecodeOptions, type Token, Tokenizer } from 'cborg';
import { Refusal } from './refusal.js';

/**
 * The rules of CTAP2's canonical form that protect a reader: definite lengths, the shortest integers, no duplicate
 * keys, no tags. Otherwise an extension output may hold any value: an integer beyond 2^53 becomes a bigint.
 */
const STRICT: DecodeOptions = {
  allowIndefinite: false,
  allowBigInt: true,
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
};

/**
 * An attestation object with 8 certificates has 35 items, and no registered authenticator extension comes near this
 * limit.
 */
export const MAX_ITEMS = 256;

/** Stops decoding after MAX_ITEMS items, each of which becomes an object here and in the library. */
class BoundedTokenizer extends Tokenizer {
  #items = 0;

  override next(): Token {
    this.#items += 1;
    if (this.#items > MAX_ITEMS) throw new Refusal('malformed', `more than ${String(MAX_ITEMS)} CBOR items`);
    return super.next();
  }
}

/** Decodes the first CBOR item. @returns the item and the bytes after it. @throws Refusal malformed */
export function decodeFirst(bytes: Buffer, what: string): [unknown, Buffer] {
  try {
    const tokenizer = new BoundedTokenizer(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), STRICT);
    const [value, rest] = cborgDecodeFirst(bytes, { ...STRICT, tokenizer }) as [unknown, Uint8Array];
    return [value, bytes.subarray(bytes.length - rest.length)];
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal('malformed', `${what}: ${error.detail}`);
    throw new Refusal('malformed', `${what}: not CBOR in CTAP2’s canonical form`);
  }
}

/** Decodes the one CBOR item that the bytes must consist of. @throws Refusal malformed */
export function decodeWhole(bytes: Buffer, what: string): unknown {
  const [value, rest] = decodeFirst(bytes, what);
  if (rest.length > 0) throw new Refusal('malformed', `${what}: ${String(rest.length)} bytes after the CBOR item`);
  return value;
}
