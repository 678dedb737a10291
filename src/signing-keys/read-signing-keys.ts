import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { PEM_DELIMITER, findPemBlocks } from '../x509/pem.js';
import { type JwtAlgorithm, type JwtSigner, signJwt } from './sign-jwt.js';

/** Its `kid` is the JWK thumbprint of the key (RFC 7638). */
export interface SigningKey extends JwtSigner {
  /** The public key, as the key set shows it. */
  readonly jwk: JWK;
}

export type SigningKeySet = readonly [SigningKey, ...SigningKey[]];

/** The kinds of keys that a file may hold. */
export interface AllowedKeys {
  readonly algorithms: readonly JwtAlgorithm[];
  /** Ends the sentence about another key: `key 2 is …`. */
  readonly otherwise: string;
}

const MAX_KEYS = 8;
/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2_048;

/**
 * Reads the private keys of a file, PEM (PKCS #8), in their order.
 *
 * @throws Error whose message says what is wrong with the file, and shows nothing of it
 */
export async function readSigningKeys(text: string, allowed: AllowedKeys): Promise<SigningKeySet> {
  const blocks = findPemBlocks(text, 'PRIVATE KEY');
  if (blocks.length === 0) throw new Error('has no private key in PEM (PKCS #8)');
  if (text.split(PEM_DELIMITER).length - 1 !== blocks.length * 4)
    throw new Error('has a PEM block that is not a whole private key (PKCS #8, not encrypted)');
  if (blocks.length > MAX_KEYS) throw new Error(`has more than ${String(MAX_KEYS)} keys`);
  const keys = await Promise.all(blocks.map((pem, index) => readKey(pem, `key ${String(index + 1)}`, allowed)));
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw new Error('has a key twice');
  return keys as unknown as SigningKeySet;
}

async function readKey(pem: string, what: string, allowed: AllowedKeys): Promise<SigningKey> {
  const privateKey = readPrivateKey(pem, what);
  const publicKey = createPublicKey(privateKey);
  const algorithm = findAlgorithm(publicKey);
  if (algorithm === undefined || !allowed.algorithms.includes(algorithm))
    throw new Error(`cannot be used: ${what} is ${allowed.otherwise}`);
  const bare = toJwk(publicKey);
  const kid = await calculateJwkThumbprint(bare);
  const key = { kid, algorithm, privateKey, jwk: { ...bare, kid, alg: algorithm, use: 'sig' } };
  requireSignature(key, what);
  return key;
}

function readPrivateKey(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error(`cannot be used: ${what} cannot be read`);
  }
}

/** Each key has one algorithm. The type of an RSA key says if it is for PKCS #1 or for PSS (RFC 8017 appendix A). */
function findAlgorithm({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): JwtAlgorithm | undefined {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'ed25519') return 'Ed25519';
  if (asymmetricKeyType === 'ec') return namedCurve === 'prime256v1' ? 'ES256' : undefined;
  if (modulusLength < MIN_RSA_BITS) return undefined;
  if (asymmetricKeyType === 'rsa') return 'RS256';
  return asymmetricKeyType === 'rsa-pss' ? 'PS256' : undefined;
}

function toJwk(publicKey: KeyObject): JWK {
  if (publicKey.asymmetricKeyType !== 'rsa-pss') return publicKey.export({ format: 'jwk' });
  // Node.js exports no JWK of such a key. What its SPKI holds is the same as for PKCS #1 (RFC 4055 §3.1).
  const spki = AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
  const key = Buffer.from(spki.subjectPublicKey);
  return createPublicKey({ key, format: 'der', type: 'pkcs1' }).export({ format: 'jwk' });
}

/** A key for PSS may demand another digest or a longer salt than its algorithm has. */
function requireSignature(key: JwtSigner, what: string): void {
  try {
    signJwt('JWT', {}, key);
  } catch {
    throw new Error(`cannot be used: ${what} does not sign by ${key.algorithm}`);
  }
}
