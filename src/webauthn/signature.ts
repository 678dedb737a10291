/**
 * Verifies signatures: those of an assertion by the key that registration stored, and those of an attestation statement
 * by the key of a certificate or of the credential.
 */
import { constants, type KeyObject, verify } from 'node:crypto';
import { decodeWhole } from './cbor.js';
import {
  type Algorithm,
  ALGORITHMS,
  ATTESTATION_ALGORITHMS,
  CURVES,
  importPublicKey,
  type SignatureAlgorithm,
} from './cose.js';
import { Refusal, refuseUnless } from './refusal.js';

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

/**
 * Finds the algorithm that a statement names as `alg`, which must fit the certificate's key.
 *
 * @throws Refusal attestation-invalid
 */
export function findAttestationAlgorithm(alg: unknown, key: KeyObject): SignatureAlgorithm {
  const algorithm = ATTESTATION_ALGORITHMS.find(({ cose }) => cose === alg);
  if (algorithm === undefined) {
    throw new Refusal('attestation-invalid', `alg is ${describeAlg(alg)}, not a known signature algorithm`);
  }
  const detail = `alg is ${describeAlg(alg)} (${algorithm.name}), but the attestation certificate has ${describeKey(key)}`;
  refuseUnless(canUseKey(algorithm, key), 'attestation-invalid', detail);
  return algorithm;
}

/** @throws Refusal attestation-invalid */
export function demandSignature(algorithm: SignatureAlgorithm, key: KeyObject, signed: Buffer, sig: unknown): void {
  refuseUnless(
    sig instanceof Uint8Array,
    'attestation-invalid',
    'sig of the attestation statement is not a byte string',
  );
  refuseUnless(
    isSignatureValid(algorithm, key, signed, sig),
    'attestation-invalid',
    'the signature of the attestation statement was not made over this authenticator data and client data',
  );
}

function isSignatureValid(algorithm: SignatureAlgorithm, key: KeyObject, signed: Buffer, sig: Uint8Array): boolean {
  try {
    return verifySignature(algorithm, key, signed, sig);
  } catch {
    // OpenSSL cannot parse the signature.
    return false;
  }
}

function canUseKey({ keyType, curve, pss, name }: SignatureAlgorithm, key: KeyObject): boolean {
  const type = key.asymmetricKeyType;
  switch (keyType) {
    case 1:
      return type === 'ed25519';
    case 2:
      return type === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVES[curve ?? 0]?.named;
    case 3:
      return type === 'rsa' || (type === 'rsa-pss' && pss === true);
    default:
      return type === name.toLowerCase();
  }
}

/** Describes a key to a person, for example `a key of type ec on secp384r1`. */
export function describeKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {};
  const detail = namedCurve === undefined ? '' : ` on ${namedCurve}`;
  const size = modulusLength === undefined ? '' : ` of ${String(modulusLength)} bits`;
  return `a key of type ${String(asymmetricKeyType)}${detail}${size}`;
}

function describeAlg(alg: unknown): string {
  return typeof alg === 'number' || typeof alg === 'bigint' ? String(alg) : 'absent or not an integer';
}
