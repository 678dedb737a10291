/** Says if an algorithm withstands a quantum computer; `hybrid` combines one that does with one that does not. */
export type PostQuantum = 'yes' | 'hybrid' | 'no';

const HYBRID = /^(X25519|X448|SecP\d+r1)MLKEM\d+$/i;
/**
 * Algorithms on module lattices and hashes, and symmetric primitives of at least 128 bits, which Grover's algorithm
 * does not break.
 */
const RESISTANT =
  /^(ML-?KEM|(id-)?ML-?DSA|(id-)?SLH-?DSA|TLS_(AES|CHACHA20)|HMAC|HKDF|SHA-?(2|3|512|384)|AES-256|random)/i;

/** @param algorithm its name in OpenSSL, COSE or this inventory */
export function classifyPostQuantum(algorithm: string): PostQuantum {
  if (HYBRID.test(algorithm)) return 'hybrid';
  return RESISTANT.test(algorithm) ? 'yes' : 'no';
}

/**
 * The algorithms that the service itself uses, apart from TLS and the verification of ceremonies, with the code that
 * uses them.
 */
export const SERVICE_ALGORITHMS: readonly { what: string; algorithm: string; where: string }[] = [
  { what: 'challenges', algorithm: 'random (OpenSSL), 32 bytes', where: 'src/config/random.ts' },
  { what: 'sealed challenges', algorithm: 'AES-256-GCM', where: 'src/challenges/challenge-seal.ts' },
  {
    what: 'one key for the challenges of an hour',
    algorithm: 'HKDF-SHA-256',
    where: 'src/challenges/challenge-seal.ts',
  },
  { what: 'user handles', algorithm: 'random (OpenSSL), 32 bytes', where: 'src/config/random.ts' },
  { what: 'seals of rows, MACs of events', algorithm: 'HMAC-SHA-256', where: 'src/seals/seal.ts' },
  { what: 'decoys for users without passkeys', algorithm: 'HMAC-SHA-256', where: 'src/challenges/decoy.ts' },
  { what: 'ids of decoys', algorithm: 'HKDF-SHA-256', where: 'src/challenges/decoy.ts' },
  {
    what: 'stand-ins in the audit log for ids of no user',
    algorithm: 'HMAC-SHA-256',
    where: 'src/audit/pseudonyms.ts',
  },
  { what: 'one key for each purpose', algorithm: 'HKDF-SHA-256', where: 'src/config/secret-keys.ts' },
  { what: 'leaves and nodes of the audit log', algorithm: 'SHA-256', where: 'src/tlog/merkle.ts' },
  { what: 'checkpoints of the audit log', algorithm: 'Ed25519', where: 'src/tlog/keys.ts' },
  { what: 'checkpoints of the audit log', algorithm: 'ML-DSA-44', where: 'src/tlog/keys.ts' },
  { what: 'receipts and signals', algorithm: 'ES256', where: 'src/signing-keys/read-signing-keys.ts' },
  { what: 'receipts and signals', algorithm: 'Ed25519', where: 'src/signing-keys/read-signing-keys.ts' },
  { what: 'signals', algorithm: 'RS256', where: 'src/signing-keys/read-signing-keys.ts' },
  { what: 'signals', algorithm: 'PS256', where: 'src/signing-keys/read-signing-keys.ts' },
  {
    what: 'ids of the keys of receipts and signals',
    algorithm: 'SHA-256',
    where: 'src/signing-keys/read-signing-keys.ts',
  },
  { what: 'digests of access policies', algorithm: 'SHA-256', where: 'src/access/access-policy.ts' },
  { what: 'digests of trust material', algorithm: 'SHA-256', where: 'src/identity/trust-material.ts' },
  { what: 'verification of FIDO metadata', algorithm: 'RS256 or ES256', where: 'src/authenticators/metadata-blob.ts' },
];
