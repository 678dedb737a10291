import { decodeFirst as cborgDecodeFirst, type DecodeOptions, type Token, Tokenizer } from 'cborg';
import { Refusal } from './verdict.js';

/**
 * CTAP2 canonical form, as far as it protects: definite lengths, the shortest integers, no duplicate keys, no tags. An
 * extension output may hold any value besides: an integer beyond 2^53 is a bigint.
 */
const STRICT: DecodeOptions = {
  allowIndefinite: false,
  allowBigInt: true,
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
};

/** An attestation object with 8 certificates has 35 items, and no registered authenticator extension comes near this bound. */
export const MAX_ITEMS = 256;

/** Ends the decoding before many items cost anything: each one becomes an object, here and in the library. */
class BoundedTokenizer extends Tokenizer {
  #items = 0;

  override next(): Token {
    this.#items += 1;
    if (this.#items > MAX_ITEMS) throw new Refusal('malformed', `more than ${String(MAX_ITEMS)} CBOR items`);
    return super.next();
  }
}

/** The first CBOR item and the bytes behind it. @throws Refusal malformed */
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

/** The one CBOR item that fills the bytes. @throws Refusal malformed */
export function decodeWhole(bytes: Buffer, what: string): unknown {
  const [value, rest] = decodeFirst(bytes, what);
  if (rest.length > 0) throw new Refusal('malformed', `${what}: ${String(rest.length)} bytes after the CBOR item`);
  return value;
}
