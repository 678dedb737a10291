/**
 * COSE: the signature algorithms that the service knows, and the keys of credentials (COSE_Key, RFC 9052 §7). A new
 * algorithm begins here: with its row in ALGORITHMS, and with the lengths and labels of its keys if they are new, too.
 * `signature.ts` verifies signatures by these keys.
 */
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { Refusal, refuseUnless } from './refusal.js';

/** A signature algorithm of the IANA COSE Algorithms registry. */
export interface SignatureAlgorithm {
  /** COSE algorithm identifier. */
  readonly cose: number;
  readonly name: string;
  /** COSE key type: 1 OKP, 2 EC2, 3 RSA, 7 AKP. */
  readonly keyType: number;
  /** COSE curve; absent when the key type has none. */
  readonly curve?: number;
  /** The hash that is signed; absent when the algorithm signs the data itself. */
  readonly hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  /** RSASSA-PSS instead of PKCS #1 v1.5; the salt is as long as the hash (RFC 8230 §2). */
  readonly pss?: true;
}

/** An algorithm that a credential may have. */
export interface Algorithm extends SignatureAlgorithm {
  /** A relying party offers it by default. */
  readonly offered: boolean;
}

/**
 * In order of preference. Ed448 and ES256K are absent: a credential must not be registered if its signatures cannot be
 * verified.
 */
export const ALGORITHMS: readonly Algorithm[] = [
  { cose: -48, name: 'ML-DSA-44', keyType: 7, offered: true },
  { cose: -8, name: 'EdDSA', keyType: 1, curve: 6, offered: true },
  { cose: -7, name: 'ES256', keyType: 2, curve: 1, hash: 'sha256', offered: true },
  { cose: -257, name: 'RS256', keyType: 3, hash: 'sha256', offered: true },
  { cose: -35, name: 'ES384', keyType: 2, curve: 2, hash: 'sha384', offered: false },
  { cose: -36, name: 'ES512', keyType: 2, curve: 3, hash: 'sha512', offered: false },
  { cose: -37, name: 'PS256', keyType: 3, hash: 'sha256', pss: true, offered: false },
  { cose: -49, name: 'ML-DSA-65', keyType: 7, offered: false },
  { cose: -50, name: 'ML-DSA-87', keyType: 7, offered: false },
];

export const COSE_ALGORITHMS: readonly number[] = ALGORITHMS.map(({ cose }) => cose);

/** RSASSA-PKCS1-v1_5 with SHA-1. TPMs of Windows attest with it. No other format may use it. */
export const RS1 = -65_535;

/** Makers sign statements with the algorithms of credentials and with these. */
export const ATTESTATION_ALGORITHMS: readonly SignatureAlgorithm[] = [
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

/**
 * Names an algorithm for people, such as `ES256 (-7)`. A value that is not a number is not shown: it could have any
 * length.
 */
export function describeAlgorithm(cose: unknown): string {
  if (typeof cose !== 'number' && typeof cose !== 'bigint') return 'an algorithm that is not a number';
  const name = ALGORITHMS.find((algorithm) => algorithm.cose === cose)?.name;
  return name === undefined ? `the algorithm ${String(cose)}` : `${name} (${String(cose)})`;
}

type CoseKey = ReadonlyMap<unknown, unknown>;

/** The curves of EC2 keys by COSE curve: their names in a JWK and in node:crypto, and the length of a coordinate. */
export const CURVES: Readonly<Record<number, { jwk: string; named: string; bytes: number }>> = {
  1: { jwk: 'P-256', named: 'prime256v1', bytes: 32 },
  2: { jwk: 'P-384', named: 'secp384r1', bytes: 48 },
  3: { jwk: 'P-521', named: 'secp521r1', bytes: 66 },
};

/** The length of a public key by the algorithm's name (FIPS 204 table 2). */
const ML_DSA_BYTES: Readonly<Record<string, number>> = { 'ML-DSA-44': 1_312, 'ML-DSA-65': 1_952, 'ML-DSA-87': 2_592 };
/** The labels by COSE key type. A credential's key must not have other members (WebAuthn L3 §6.5.1). */
const LABELS: Readonly<Record<number, readonly number[]>> = {
  1: [1, 3, -1, -2],
  2: [1, 3, -1, -2, -3],
  3: [1, 3, -1, -2],
  7: [1, 3, -1],
};
/** An ML-DSA-87 key has 2,603 bytes, an RSA key with 8,192 bits has 1,044. */
export const MAX_KEY_BYTES = 4_096;
const MIN_RSA_BITS = 2_048;
const MAX_RSA_BITS = 8_192;

/**
 * The y coordinates of Ed25519's points of small order, in both encodings, without the sign bit. Anyone can sign for
 * such keys.
 */
const SMALL_ORDER = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

/** Ed25519's field and the constant of its curve −x² + y² = 1 + dx²y² (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/**
 * Demands that signatures by this COSE_Key (RFC 9052 §7) can be verified later: its algorithm, key type and curve fit
 * each other, and node:crypto accepts the key.
 *
 * @returns the COSE algorithm identifier
 * @throws Refusal public-key-invalid
 */
export function verifyPublicKey(key: CoseKey): number {
  importPublicKey(key);
  const labels = LABELS[key.get(1) as number] ?? [];
  const foreign = [...key.keys()].some((label) => !labels.includes(label as number));
  refuseUnless(!foreign, 'public-key-invalid', 'the key has members that its key type does not have');
  return key.get(3) as number;
}

/** Converts a COSE_Key for node:crypto. @throws Refusal public-key-invalid */
export function importPublicKey(key: CoseKey): KeyObject {
  const algorithm = ALGORITHMS.find(({ cose }) => cose === key.get(3));
  refuseUnless(
    algorithm !== undefined,
    'public-key-invalid',
    'the key names no algorithm that this service can verify',
  );
  refuseUnless(key.get(1) === algorithm.keyType, 'public-key-invalid', `the key type is not that of ${algorithm.name}`);
  if (algorithm.curve !== undefined) {
    refuseUnless(key.get(-1) === algorithm.curve, 'public-key-invalid', `the curve is not that of ${algorithm.name}`);
  }
  const jwk = toJwk(key, algorithm);
  try {
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    const bits = publicKey.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined) {
      refuseUnless(
        bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS,
        'public-key-invalid',
        `the RSA key has ${String(bits)} bits, not 2,048 to 8,192`,
      );
    }
    return publicKey;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal('public-key-invalid', `the numbers of the key are not a valid key for ${algorithm.name}`);
  }
}

function toJwk(key: CoseKey, { keyType, name: alg }: Algorithm): webcrypto.JsonWebKey {
  switch (keyType) {
    case 1:
      return { kty: 'OKP', crv: 'Ed25519', x: encodeEd25519Point(readMember(key, -2, 32)) };
    case 2: {
      const { jwk, bytes } = CURVES[key.get(-1) as number]!;
      return {
        kty: 'EC',
        crv: jwk,
        x: encodeBase64url(readMember(key, -2, bytes)),
        y: encodeBase64url(readMember(key, -3, bytes)),
      };
    }
    case 3: {
      const exponent = readMember(key, -2);
      const odd = ((exponent.at(-1) ?? 0) & 1) === 1;
      const large = exponent.length >= 3 && exponent.length <= 8 && exponent[0] !== 0;
      refuseUnless(odd && large, 'public-key-invalid', 'the RSA exponent is even or smaller than 65,537');
      const modulus = readMember(key, -1);
      refuseUnless(((modulus.at(-1) ?? 0) & 1) === 1, 'public-key-invalid', 'the RSA modulus is even');
      return { kty: 'RSA', n: encodeBase64url(modulus), e: encodeBase64url(exponent) };
    }
    default:
      return { kty: 'AKP', alg, pub: encodeBase64url(readMember(key, -1, ML_DSA_BYTES[alg])) } as webcrypto.JsonWebKey;
  }
}

function encodeEd25519Point(point: Uint8Array): string {
  const y = Buffer.from(point);
  y[31]! &= 0x7f;
  refuseUnless(!SMALL_ORDER.has(y.toString('hex')), 'public-key-invalid', 'the Ed25519 point has a small order');
  refuseUnless(
    isOnEd25519(BigInt(`0x${y.reverse().toString('hex')}`)),
    'public-key-invalid',
    'the Ed25519 point is off the curve',
  );
  return encodeBase64url(point);
}

/**
 * Tells if a point has this y: x² = (y² − 1) / (dy² + 1) must be a square (RFC 8032 §5.1.3). OpenSSL checks it only
 * when it verifies.
 */
function isOnEd25519(y: bigint): boolean {
  const square = (y * y) % P;
  return y < P && powModP(((square - 1n) * (D * square + 1n)) % P, (P - 1n) / 2n) === 1n;
}

function powModP(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let [factor, rest] = [base, exponent]; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % P;
    factor = (factor * factor) % P;
  }
  return result;
}

function readMember(key: CoseKey, label: number, bytes?: number): Uint8Array {
  const value = key.get(label);
  refuseUnless(
    value instanceof Uint8Array && (bytes === undefined || value.length === bytes),
    'public-key-invalid',
    `the key’s member ${String(label)} is not a byte string${bytes === undefined ? '' : ` of ${String(bytes)} bytes`}`,
  );
  return value;
}

function encodeBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
