import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { encode } from 'cborg';

/** COSE algorithm identifiers with their names in the IANA registry. */
export const COSE = {
  ES256: -7,
  EdDSA: -8,
  ES384: -35,
  ES512: -36,
  PS256: -37,
  'ML-DSA-44': -48,
  'ML-DSA-65': -49,
  'ML-DSA-87': -50,
  RS256: -257,
} as const;

export type AlgorithmName = keyof typeof COSE;

export interface CredentialKey {
  readonly algorithm: AlgorithmName;
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, as `getPublicKey()` gives it in a browser. */
  readonly spki: Buffer;
  /** COSE_Key (RFC 9052), in CTAP2 canonical order. */
  readonly cose: Buffer;
}

interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

interface Scheme {
  generate(): KeyPair;
  coseKey(publicKey: KeyObject, spki: Buffer): Map<number, unknown>;
  sign(data: Buffer, privateKey: KeyObject): Buffer;
}

/** The uncompressed point is the tail of the SubjectPublicKeyInfo, after its 0x04. */
const ecPoint = (spki: Buffer, size: number): [Buffer, Buffer] => [
  spki.subarray(-2 * size, -size),
  spki.subarray(-size),
];

const ec2 = (namedCurve: string, curve: number, size: number, alg: number, hash: string): Scheme => ({
  generate: () => generateKeyPairSync('ec', { namedCurve }),
  coseKey: (_, spki) => {
    const [x, y] = ecPoint(spki, size);
    return new Map<number, unknown>([
      [1, 2],
      [3, alg],
      [-1, curve],
      [-2, x],
      [-3, y],
    ]);
  },
  sign: (data, key) => sign(hash, data, key),
});

const rsa = (alg: number, padding: number): Scheme => ({
  generate: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  coseKey: (publicKey) => {
    const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
    const integer = (text: string): Buffer => Buffer.from(text, 'base64url');
    return new Map<number, unknown>([
      [1, 3],
      [3, alg],
      [-1, integer(n)],
      [-2, integer(e)],
    ]);
  },
  sign: (data, key) =>
    sign('sha256', data, padding === constants.RSA_PKCS1_PSS_PADDING ? { key, padding, saltLength: 32 } : key),
});

/** @param size the length of a public key in bytes (FIPS 204 table 2) */
const mlDsa = (type: 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87', alg: number, size: number): Scheme => ({
  generate: () => (generateKeyPairSync as (type: string) => KeyPair)(type),
  coseKey: (_, spki) =>
    new Map<number, unknown>([
      [1, 7],
      [3, alg],
      [-1, spki.subarray(-size)],
    ]),
  sign: (data, key) => sign(null, data, key),
});

const SCHEMES: Record<AlgorithmName, Scheme> = {
  ES256: ec2('P-256', 1, 32, COSE.ES256, 'sha256'),
  ES384: ec2('P-384', 2, 48, COSE.ES384, 'sha384'),
  ES512: ec2('P-521', 3, 66, COSE.ES512, 'sha512'),
  EdDSA: {
    generate: () => generateKeyPairSync('ed25519'),
    coseKey: (_, spki) =>
      new Map<number, unknown>([
        [1, 1],
        [3, COSE.EdDSA],
        [-1, 6],
        [-2, spki.subarray(-32)],
      ]),
    sign: (data, key) => sign(null, data, key),
  },
  RS256: rsa(COSE.RS256, constants.RSA_PKCS1_PADDING),
  PS256: rsa(COSE.PS256, constants.RSA_PKCS1_PSS_PADDING),
  'ML-DSA-44': mlDsa('ml-dsa-44', COSE['ML-DSA-44'], 1_312),
  'ML-DSA-65': mlDsa('ml-dsa-65', COSE['ML-DSA-65'], 1_952),
  'ML-DSA-87': mlDsa('ml-dsa-87', COSE['ML-DSA-87'], 2_592),
};

export const signWith = (key: CredentialKey, data: Buffer): Buffer => SCHEMES[key.algorithm].sign(data, key.privateKey);

export const encodeCose = (members: Map<number, unknown>): Buffer => Buffer.from(encode(members));

export function generateKey(algorithm: AlgorithmName): CredentialKey {
  const { publicKey, privateKey } = SCHEMES[algorithm].generate();
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { algorithm, privateKey, spki, cose: encodeCose(SCHEMES[algorithm].coseKey(publicKey, spki)) };
}

/** The number of keys that tests share where they cannot tell keys apart, because making a key takes long. */
const POOL_SIZE: Record<AlgorithmName, number> = {
  ES256: 8,
  ES384: 2,
  ES512: 1,
  EdDSA: 4,
  RS256: 1,
  PS256: 1,
  'ML-DSA-44': 2,
  'ML-DSA-65': 1,
  'ML-DSA-87': 1,
};
const pools = new Map<AlgorithmName, CredentialKey[]>();
let dealt = 0;

export function takePooledKey(algorithm: AlgorithmName): CredentialKey {
  const pool = pools.get(algorithm) ?? [];
  pools.set(algorithm, pool);
  if (pool.length < POOL_SIZE[algorithm]) {
    const key = generateKey(algorithm);
    pool.push(key);
    return key;
  }
  return pool[dealt++ % pool.length] as CredentialKey;
}
