/** Says if an algorithm withstands a quantum computer; `hybrid` combines one that does with one that does not. */
export type PostQuantum = 'yes' | 'hybrid' | 'no';

const HYBRID = /^(X25519|X448|SecP\d+r1)MLKEM\d+$/i;
/**
 * Algorithms on module lattices and hashes, and symmetric primitives of at least 128 bits, which Grover's algorithm
 * does not break.
 */
const RESISTANT = /^(ML-?KEM|(id-)?ML-?DSA|(id-)?SLH-?DSA|TLS_(AES|CHACHA20)|HMAC|HKDF|SHA-?(2|3|512|384)|random)/i;

/** @param algorithm its name in OpenSSL, COSE or this inventory */
export function classifyPostQuantum(algorithm: string): PostQuantum {
  if (HYBRID.test(algorithm)) return 'hybrid';
  return RESISTANT.test(algorithm) ? 'yes' : 'no';
}
