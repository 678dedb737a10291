import { createHmac } from 'node:crypto';

/** Computes HMAC-SHA-256 (RFC 2104) of a text in UTF-8. */
export function computeHmac(key: Buffer, text: string): Buffer {
  // A string costs less than a Buffer, which needs an ArrayBuffer of its own.
  return Buffer.from(createHmac('sha256', key).update(text).digest('latin1'), 'latin1');
}
