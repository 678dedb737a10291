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

/**
 * Names an algorithm for people, such as `ES256 (-7)`. A value that is not a number is not shown: it could have any
 * length.
 */
export function describeAlgorithm(cose: unknown): string {
  if (typeof cose !== 'number' && typeof cose !== 'bigint') return 'an algorithm that is not a number';
  const name = ALGORITHMS.find((algorithm) => algorithm.cose === cose)?.name;
  return name === undefined ? `the algorithm ${String(cose)}` : `${name} (${String(cose)})`;
}
