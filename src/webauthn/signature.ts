import { constants, type KeyObject, verify } from 'node:crypto';
import type { SignatureAlgorithm } from './algorithms.js';
import { VerifierCache } from './verifier-cache.js';

const VERIFIERS = new VerifierCache(40 * 1_024 * 1_024);

/**
 * WebAuthn L3 §7.2 step 21, for a key that registration accepted.
 *
 * @param coseKey the COSE_Key's bytes
 * @param signed the authenticator data followed by the hash of the client data
 */
export function verifyAssertionSignature(coseKey: Buffer, signed: Buffer, signature: Buffer): boolean {
  try {
    const { algorithm, key } = VERIFIERS.get(coseKey);
    return verifySignature(algorithm, key, signed, signature);
  } catch {
    // The signature or the stored key cannot be parsed.
    return false;
  }
}

/** @throws Error of OpenSSL when the signature cannot be parsed */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  signed: Buffer,
  signature: Uint8Array,
): boolean {
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return verify(algorithm.hash, signed, algorithm.pss ? { key, padding, saltLength } : key, signature);
}
