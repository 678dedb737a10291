/** Whether an algorithm withstands a quantum computer; `hybrid`: one that does beside one that does not. */
export type PostQuantum = 'yes' | 'hybrid' | 'no';

const HYBRID = /^(X25519|X448|SecP\d+r1)MLKEM\d+$/i;
/** Module lattices and hashes, and symmetric primitives of 128 bits and more, which Grover's algorithm does not break. */
const RESISTANT = /^(ML-?KEM|(id-)?ML-?DSA|(id-)?SLH-?DSA|TLS_(AES|CHACHA20)|HMAC|HKDF|SHA-?(2|3|512|384)|random)/i;

/** @param algorithm as OpenSSL, COSE or this inventory names it */
export function postQuantumOf(algorithm: string): PostQuantum {
  if (HYBRID.test(algorithm)) return 'hybrid';
  return RESISTANT.test(algorithm) ? 'yes' : 'no';
}
