import { createPublicKey } from 'node:crypto';
import { encode } from 'cborg';
import { decodeWhole } from './cbor.js';
import { decodeBase64url } from './client-data.js';
import { type Algorithm, ALGORITHMS, CURVES, describeAlgorithm, MAX_KEY_BYTES, verifyPublicKey } from './cose.js';
import { Refusal, refuseUnless } from './refusal.js';

/** The public key of a credential as others keep it: a COSE_Key in base64url, SPKI in PEM (RFC 7468 §13), or a JWK (RFC 7517). */
export type PublicKeyForm = string | Readonly<Record<string, unknown>>;

interface StoredPublicKey {
  /** The bytes of the COSE_Key. */
  readonly publicKey: Buffer;
  /** COSE algorithm identifier. */
  readonly algorithm: number;
}

/**
 * Reads a public key, and demands that signatures by it can be verified (`verifyPublicKey`).
 *
 * @param algorithm COSE algorithm identifier; undefined: the one that the key names, or RS256 for an RSA key that names none
 * @throws Refusal malformed, public-key-invalid
 */
export function readPublicKey(given: PublicKeyForm, algorithm?: number): StoredPublicKey {
  const isCose = typeof given === 'string' && !given.startsWith('-----');
  const read = isCose
    ? readCoseKey(decodeBase64url(given, 'the COSE_Key'))
    : encodeJwk(typeof given === 'string' ? readPem(given) : given, algorithm);
  const named = describeAlgorithm(read.algorithm);
  const same = algorithm === undefined || algorithm === read.algorithm;
  refuseUnless(same, 'public-key-invalid', `the key is for ${named}, not for ${describeAlgorithm(algorithm)}`);
  return read;
}

function readCoseKey(publicKey: Buffer): StoredPublicKey {
  const size = `the key has ${String(publicKey.length)} bytes, more than ${String(MAX_KEY_BYTES)}`;
  refuseUnless(publicKey.length <= MAX_KEY_BYTES, 'public-key-invalid', size);
  const key = decodeWhole(publicKey, 'the key');
  refuseUnless(key instanceof Map, 'public-key-invalid', 'the key is not a CBOR map (COSE_Key)');
  return { publicKey, algorithm: verifyPublicKey(key) };
}

function readPem(text: string): Readonly<Record<string, unknown>> {
  const isPublic = /^-----BEGIN PUBLIC KEY-----\s[^-]+-----END PUBLIC KEY-----\s*$/.test(text);
  refuseUnless(isPublic, 'public-key-invalid', 'the text is not one PEM block with the label PUBLIC KEY');
  try {
    return { ...createPublicKey({ key: text, format: 'pem', type: 'spki' }).export({ format: 'jwk' }) };
  } catch {
    throw new Refusal('public-key-invalid', 'the PEM block holds no public key that the service can read');
  }
}

/** The members of a JWK that hold a secret (RFC 7518 §6, RFC 8037, RFC 9964). */
const SECRETS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

function encodeJwk(jwk: Readonly<Record<string, unknown>>, algorithm: number | undefined): StoredPublicKey {
  const secret = SECRETS.some((name) => name in jwk);
  refuseUnless(!secret, 'public-key-invalid', 'the JWK holds a private key, which no other service may know');
  const fitting = ALGORITHMS.filter((each) => fits(each, jwk));
  const named = fitting.filter((each) => jwk.alg === undefined || isNamed(each, jwk.alg));
  const chosen = named.find(({ cose }) => cose === algorithm) ?? named[0];
  refuseUnless(chosen !== undefined, 'public-key-invalid', 'the key is for no algorithm that this service can verify');
  const members: readonly (readonly [number, unknown])[] = [
    [1, chosen.keyType],
    [3, chosen.cose],
    ...listNumbers(chosen, jwk),
  ];
  return readCoseKey(Buffer.from(encode(new Map(members))));
}

function fits({ keyType, curve, name }: Algorithm, { kty, crv, alg }: Readonly<Record<string, unknown>>): boolean {
  if (keyType === 1) return kty === 'OKP' && crv === 'Ed25519';
  if (keyType === 2) return kty === 'EC' && crv === CURVES[curve!]!.jwk;
  return keyType === 3 ? kty === 'RSA' : kty === 'AKP' && alg === name;
}

/** RFC 9864 names the algorithm of Ed25519 keys anew. */
function isNamed({ name }: Algorithm, alg: unknown): boolean {
  return alg === name || (name === 'EdDSA' && alg === 'Ed25519');
}

function listNumbers({ keyType, curve }: Algorithm, jwk: Readonly<Record<string, unknown>>): [number, unknown][] {
  const read = (name: string): Uint8Array => {
    const value = jwk[name];
    refuseUnless(typeof value === 'string', 'public-key-invalid', `the JWK’s member ${name} is not a text`);
    return Uint8Array.from(decodeBase64url(value, `the JWK’s member ${name}`));
  };
  if (keyType === 1)
    return [
      [-1, curve],
      [-2, read('x')],
    ];
  if (keyType === 2)
    return [
      [-1, curve],
      [-2, read('x')],
      [-3, read('y')],
    ];
  return keyType === 3
    ? [
        [-1, read('n')],
        [-2, read('e')],
      ]
    : [[-1, read('pub')]];
}
