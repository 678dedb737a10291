import type { KeyObject } from 'node:crypto';
import { ALGORITHMS, type SignatureAlgorithm } from './algorithms.js';
import { verifySignature } from './signature.js';
import { Refusal, refuseUnless } from './refusal.js';

/** RSASSA-PKCS1-v1_5 with SHA-1. TPMs of Windows attest with it. No other format may use it. */
export const RS1 = -65_535;

/** Makers sign statements with the algorithms of credentials and with these. */
const ATTESTATION_ALGORITHMS: readonly SignatureAlgorithm[] = [
  ...ALGORITHMS,
  { cose: -9, name: 'ESP256', keyType: 2, curve: 1, hash: 'sha256' },
  { cose: -51, name: 'ESP384', keyType: 2, curve: 2, hash: 'sha384' },
  { cose: -52, name: 'ESP512', keyType: 2, curve: 3, hash: 'sha512' },
  { cose: -19, name: 'Ed25519', keyType: 1, curve: 6 },
  { cose: -258, name: 'RS384', keyType: 3, hash: 'sha384' },
  { cose: -259, name: 'RS512', keyType: 3, hash: 'sha512' },
  { cose: -38, name: 'PS384', keyType: 3, hash: 'sha384', pss: true },
  { cose: -39, name: 'PS512', keyType: 3, hash: 'sha512', pss: true },
  { cose: RS1, name: 'RS1', keyType: 3, hash: 'sha1' },
];

/** The curves of node:crypto, by COSE curve. */
const CURVES: Readonly<Record<number, string>> = { 1: 'prime256v1', 2: 'secp384r1', 3: 'secp521r1' };

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
      return type === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVES[curve ?? 0];
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
