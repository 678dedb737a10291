type Primitive = 'drbg' | 'mac' | 'signature' | 'hash' | 'kdf' | 'key-agree' | 'kem' | 'ae' | 'combiner' | 'other';

/** `algorithmProperties` of CycloneDX. */
interface AlgorithmProperties {
  readonly primitive: Primitive;
  readonly cryptoFunctions: readonly string[];
  /** The category of NIST's call (FIPS 203, 204); 0: a quantum computer breaks it. */
  readonly nistQuantumSecurityLevel?: number;
  readonly classicalSecurityLevel?: number;
}

type Rule = readonly [
  name: RegExp,
  primitive: Primitive,
  functions: readonly string[],
  level?: number,
  classical?: number,
];

const SIGN = ['sign', 'verify'] as const;
const AGREE = ['keygen', 'encapsulate', 'decapsulate'] as const;
const SEAL = ['encrypt', 'decrypt', 'tag'] as const;

/** What an algorithm is, by its name in OpenSSL, COSE or the inventory. The first rule that matches holds. */
const RULES: readonly Rule[] = [
  [/^random/, 'drbg', ['generate'], 5, 256],
  [/^HKDF/, 'kdf', ['keyderive'], 2, 256],
  [/^HMAC/, 'mac', ['tag'], 2, 256],
  [/^SHA-256$/, 'hash', ['digest'], 2, 128],
  [/MLKEM512/i, 'combiner', AGREE, 1],
  [/MLKEM768/i, 'combiner', AGREE, 3],
  [/MLKEM1024/i, 'combiner', AGREE, 5],
  [/AES_?-?256/i, 'ae', SEAL, 5, 256],
  [/CHACHA20/i, 'ae', SEAL, 5, 256],
  [/AES_?-?128/i, 'ae', SEAL, 1, 128],
  [/ML-?DSA-?44/i, 'signature', SIGN, 2],
  [/ML-?DSA-?65/i, 'signature', SIGN, 3],
  [/ML-?DSA-?87/i, 'signature', SIGN, 5],
  [/SLH-?DSA/i, 'signature', SIGN],
  [/^(?:X25519|X448|P-\d+|secp|brainpool|ffdhe)/i, 'key-agree', ['keygen', 'keyderive'], 0],
  [/^(?:EC|ES|Ed|RS|PS|RSA|sha\d+With|ecdsa|DSA)/i, 'signature', SIGN, 0],
];

export function classifyAlgorithm(algorithm: string): AlgorithmProperties {
  const [, primitive = 'other', cryptoFunctions = ['unknown'], level, classical] =
    RULES.find(([name]) => name.test(algorithm)) ?? [];
  return {
    primitive,
    cryptoFunctions,
    ...(level === undefined ? {} : { nistQuantumSecurityLevel: level }),
    ...(classical === undefined ? {} : { classicalSecurityLevel: classical }),
  };
}
