import { constants, type KeyObject, verify } from 'node:crypto';
import { type Algorithm, ALGORITHMS } from './algorithms.js';
import { decodeWhole } from './cbor.js';
import { publicKeyOf } from './public-key.js';

interface Verifier {
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
}

/** About 2 KiB each. */
const MAX_VERIFIERS = 10_000;

/** By the bytes of the COSE_Key, so that no other key can ever stand for them; the longest unused goes first. */
const VERIFIERS = new Map<string, Verifier>();

/**
 * WebAuthn L3 §7.2 step 21, for a key that was accepted at registration. Importing an ECDSA key costs a third of
 * verifying with it, so what is imported is kept.
 *
 * @param coseKey the COSE_Key's bytes
 * @param signed authenticator data and the hash of the client data, one behind the other
 */
export function signatureHolds(coseKey: Buffer, signed: Buffer, signature: Buffer): boolean {
  try {
    const { algorithm, key } = verifierOf(coseKey);
    const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
    return verify(algorithm.hash, signed, algorithm.pss ? { key, padding, saltLength } : key, signature);
  } catch {
    // A signature or a stored key that cannot be parsed.
    return false;
  }
}

/** @throws Refusal public-key-invalid */
function verifierOf(coseKey: Buffer): Verifier {
  const bytes = coseKey.toString('latin1');
  const known = VERIFIERS.get(bytes);
  VERIFIERS.delete(bytes);
  const verifier = known ?? makeVerifier(coseKey);
  VERIFIERS.set(bytes, verifier);
  if (VERIFIERS.size > MAX_VERIFIERS) VERIFIERS.delete(VERIFIERS.keys().next().value!);
  return verifier;
}

function makeVerifier(coseKey: Buffer): Verifier {
  const members = decodeWhole(coseKey, 'publicKey') as ReadonlyMap<unknown, unknown>;
  const key = publicKeyOf(members);
  return { algorithm: ALGORITHMS.find(({ cose }) => cose === members.get(3))!, key };
}
