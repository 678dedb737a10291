/**
 * The algorithms that the service itself uses, apart from TLS and the verification of ceremonies, with the code that
 * uses them.
 */
export const SERVICE_ALGORITHMS: readonly { what: string; algorithm: string; where: string }[] = [
  { what: 'challenges', algorithm: 'random (OpenSSL), 32 bytes', where: 'src/challenges/challenges.service.ts' },
  { what: 'user handles', algorithm: 'random (OpenSSL), 32 bytes', where: 'src/challenges/challenges.service.ts' },
  { what: 'MAC of a credential row', algorithm: 'HMAC-SHA-256', where: 'src/credentials/binding.ts' },
  { what: 'decoys for users without passkeys', algorithm: 'HMAC-SHA-256', where: 'src/challenges/decoy.ts' },
  { what: 'ids of decoys', algorithm: 'HKDF-SHA-256', where: 'src/challenges/decoy.ts' },
  { what: 'stand-ins in the audit log for ids of no user', algorithm: 'HMAC-SHA-256', where: 'src/audit/subjects.ts' },
  { what: 'one key for each purpose', algorithm: 'HKDF-SHA-256', where: 'src/config/secret-keys.ts' },
  { what: 'leaves and nodes of the audit log', algorithm: 'SHA-256', where: 'src/tlog/merkle.ts' },
  { what: 'checkpoints of the audit log', algorithm: 'Ed25519', where: 'src/tlog/checkpoint.ts' },
  { what: 'checkpoints of the audit log', algorithm: 'ML-DSA-44', where: 'src/tlog/checkpoint.ts' },
  { what: 'digests of access policies', algorithm: 'SHA-256', where: 'src/access/access-policy.ts' },
  { what: 'digests of trust material', algorithm: 'SHA-256', where: 'src/identity/trust-material.ts' },
  { what: 'verification of FIDO metadata', algorithm: 'RS256 or ES256', where: 'src/authenticators/metadata-blob.ts' },
];
