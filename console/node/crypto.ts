/**
 * The part of `node:crypto` by which src/tlog verifies, for the page, on the audited libraries of noble. The page holds no private
 * key: what would sign throws.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { Buffer } from './buffer.js';

type Algorithm = 'ed25519' | 'ml-dsa-44';

/** A public key. */
export class KeyObject {
  readonly asymmetricKeyType: string;
  readonly #raw: Buffer;

  constructor(algorithm: Algorithm, raw: Uint8Array) {
    this.asymmetricKeyType = algorithm;
    this.#raw = Buffer.from(raw);
  }

  export(_: { readonly format: 'raw-public' }): Buffer {
    return Buffer.from(this.#raw);
  }
}

interface RawKey {
  readonly key: Uint8Array;
  readonly format: 'raw-public';
  readonly asymmetricKeyType: Algorithm;
}

export function createPublicKey(key: RawKey | KeyObject | string): KeyObject {
  if (key instanceof KeyObject || typeof key === 'string') throw new Error('the page reads raw public keys only');
  return new KeyObject(key.asymmetricKeyType, key.key);
}

export function createPrivateKey(_: {
  readonly key: string;
  readonly format: 'pem';
  readonly passphrase?: string;
}): KeyObject {
  throw new Error('the page reads no private keys');
}

export function sign(_: null, _message: Uint8Array, _key: KeyObject): Buffer {
  throw new Error('the page does not sign');
}

export function verify(_: null, message: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  const raw = key.export({ format: 'raw-public' });
  try {
    if (key.asymmetricKeyType === 'ml-dsa-44') return ml_dsa44.verify(signature, message, raw);
    // OpenSSL verifies as RFC 8032 §5.1.7 has it, without the exceptions of ZIP 215.
    return ed25519.verify(signature, message, raw, { zip215: false });
  } catch {
    // A signature or a key of the wrong length.
    return false;
  }
}

export function hash(algorithm: 'sha256', data: string | Uint8Array, output: 'hex' | 'latin1'): string;
export function hash(algorithm: 'sha256', data: string | Uint8Array, output: 'buffer'): Buffer;
export function hash(_: 'sha256', data: string | Uint8Array, output: 'hex' | 'latin1' | 'buffer'): string | Buffer {
  const digest = Buffer.from(sha256(typeof data === 'string' ? Buffer.from(data) : data));
  return output === 'buffer' ? digest : digest.toString(output);
}
