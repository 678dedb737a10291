import { decodeFirst as cborgDecodeFirst, type DecodeOptions } from 'cborg';
import { Refusal } from './verdict.js';

/** CTAP2 canonical form, as far as it protects: definite lengths, no duplicate keys, no tags, no exotic values. */
const STRICT: DecodeOptions = {
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
};

/** The first CBOR item and the bytes behind it. @throws Refusal malformed */
export function decodeFirst(bytes: Buffer, what: string): [unknown, Buffer] {
  try {
    const [value, rest] = cborgDecodeFirst(bytes, STRICT) as [unknown, Uint8Array];
    return [value, bytes.subarray(bytes.length - rest.length)];
  } catch {
    throw new Refusal('malformed', `${what}: not well-formed CBOR`);
  }
}

/** The one CBOR item that fills the bytes. @throws Refusal malformed */
export function decodeWhole(bytes: Buffer, what: string): unknown {
  const [value, rest] = decodeFirst(bytes, what);
  if (rest.length > 0) throw new Refusal('malformed', `${what}: ${String(rest.length)} bytes after the CBOR item`);
  return value;
}
