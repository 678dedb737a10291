import type { KeyObject } from 'node:crypto';
import { type Algorithm, ALGORITHMS } from './algorithms.js';
import { decodeWhole } from './cbor.js';
import { importPublicKey } from './public-key.js';

interface Verifier {
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
}

/** The memory of a key besides its bytes. Measured with ML-DSA-44, which takes the most. */
const KEY_OBJECT_BYTES = 4_200;

/**
 * Caches imported keys, because importing an ECDSA key takes a third of the time of a verification. The cache key is
 * all bytes of the COSE_Key, so two keys can never be confused. It evicts the least recently used key first.
 */
export class VerifierCache {
  readonly #verifiers = new Map<string, Verifier>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The approximate memory of the keys. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws Refusal public-key-invalid, malformed */
  get(coseKey: Buffer): Verifier {
    const bytes = coseKey.toString('latin1');
    const verifier = this.#take(bytes) ?? makeVerifier(coseKey);
    this.#verifiers.set(bytes, verifier);
    this.#bytes += bytes.length + KEY_OBJECT_BYTES;
    for (const [longestUnused] of this.#verifiers) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#take(longestUnused);
    }
    return verifier;
  }

  #take(bytes: string): Verifier | undefined {
    const verifier = this.#verifiers.get(bytes);
    if (this.#verifiers.delete(bytes)) this.#bytes -= bytes.length + KEY_OBJECT_BYTES;
    return verifier;
  }
}

function makeVerifier(coseKey: Buffer): Verifier {
  const members = decodeWhole(coseKey, 'publicKey') as ReadonlyMap<unknown, unknown>;
  const key = importPublicKey(members);
  return { algorithm: ALGORITHMS.find(({ cose }) => cose === members.get(3))!, key };
}
