import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { PEM_DELIMITER, findPemBlocks } from '../x509/pem.js';
import type { JwtSigner } from './sign-jwt.js';

/** Its `kid` is the JWK thumbprint of the key (RFC 7638). */
export interface ReceiptKey extends JwtSigner {
  /** The public key, as the key set shows it. */
  readonly jwk: JWK;
}

export type ReceiptKeySet = readonly [ReceiptKey, ...ReceiptKey[]];

const MAX_KEYS = 8;

/**
 * Reads the private keys of a file, PEM (PKCS #8): the first one signs.
 *
 * @throws Error whose message says what is wrong with the file, and shows nothing of it
 */
export async function readReceiptKeys(text: string): Promise<ReceiptKeySet> {
  const blocks = findPemBlocks(text, 'PRIVATE KEY');
  if (blocks.length === 0) throw new Error('has no private key in PEM (PKCS #8)');
  if (text.split(PEM_DELIMITER).length - 1 !== blocks.length * 4)
    throw new Error('has a PEM block that is not a whole private key (PKCS #8, not encrypted)');
  if (blocks.length > MAX_KEYS) throw new Error(`has more than ${String(MAX_KEYS)} keys`);
  const keys = await Promise.all(blocks.map((pem, index) => readKey(pem, `key ${String(index + 1)}`)));
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw new Error('has a key twice');
  return keys as unknown as ReceiptKeySet;
}

async function readKey(pem: string, what: string): Promise<ReceiptKey> {
  const privateKey = readPrivateKey(pem, what);
  const publicKey = createPublicKey(privateKey);
  const algorithm = findAlgorithm(publicKey);
  if (algorithm === undefined) throw new Error(`cannot be used: ${what} is neither on P-256 nor Ed25519`);
  const bare = publicKey.export({ format: 'jwk' }) as JWK;
  const kid = await calculateJwkThumbprint(bare);
  const jwk: JWK = { ...bare, kid, alg: algorithm, use: 'sig' };
  return { kid, algorithm, privateKey, jwk };
}

function readPrivateKey(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error(`cannot be used: ${what} cannot be read`);
  }
}

function findAlgorithm({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): JwtSigner['algorithm'] | undefined {
  if (asymmetricKeyType === 'ed25519') return 'Ed25519';
  return asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
}
