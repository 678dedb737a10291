import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { encode } from 'cborg';
import { readPublicKey } from './key-forms.js';
import { Refusal } from './refusal.js';
import { importPublicKey } from './cose.js';
import { decodeWhole } from './cbor.js';

const KEYS: readonly (readonly [name: string, algorithm: number, key: KeyObject])[] = [
  ['ES256', -7, generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey],
  ['ES384', -35, generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey],
  ['ES512', -36, generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey],
  ['EdDSA', -8, generateKeyPairSync('ed25519').publicKey],
  ['RS256', -257, generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey],
  ['ML-DSA-44', -48, generateKeyPairSync('ml-dsa-44').publicKey],
];
const ES256 = KEYS[0]![2];

const toJwk = (key: KeyObject): Record<string, unknown> => ({ ...key.export({ format: 'jwk' }) });
const toPem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' });
const toBytes = (text: unknown): Uint8Array => Uint8Array.from(Buffer.from(text as string, 'base64url'));

function refusalOf(run: () => unknown): Pick<Refusal, 'reason' | 'detail'> {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return { reason: error.reason, detail: error.detail };
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a public key that others keep', () => {
  it.each(KEYS)('is the same COSE_Key from SPKI in PEM, from a JWK and from itself: %s', (_name, algorithm, key) => {
    const [fromPem, fromJwk] = [readPublicKey(toPem(key)), readPublicKey(toJwk(key))];
    expect(fromPem).toEqual(fromJwk);
    expect(fromPem.algorithm).toBe(algorithm);
    expect(readPublicKey(fromPem.publicKey.toString('base64url'))).toEqual(fromPem);
    const cose = decodeWhole(fromPem.publicKey, 'the key') as ReadonlyMap<unknown, unknown>;
    expect(importPublicKey(cose).equals(key)).toBe(true);
  });

  it('keeps the bytes of a COSE_Key as the authenticator wrote them', () => {
    const { x, y } = toJwk(ES256);
    // Not in the order of CTAP2's canonical form, which cborg writes.
    const members = [[3, -7], [1, 2], [-1, 1], [-2, toBytes(x)], [-3, toBytes(y)]] as const; // prettier-ignore
    const bytes = Buffer.from(encode(new Map<number, unknown>(members), { mapSorter: () => 0 }));
    expect(readPublicKey(bytes.toString('base64url')).publicKey).toEqual(bytes);
  });

  it('names the algorithm of an RSA key, which its numbers do not', () => {
    const rsa = KEYS[4]![2];
    expect(readPublicKey(toPem(rsa), -37).algorithm).toBe(-37);
    expect(readPublicKey({ ...toJwk(rsa), alg: 'PS256' }).algorithm).toBe(-37);
    expect(readPublicKey({ ...toJwk(rsa), alg: 'RS256' }, -257).algorithm).toBe(-257);
    expect(refusalOf(() => readPublicKey({ ...toJwk(rsa), alg: 'RS256' }, -37)).detail).toMatch(/RS256 \(-257\)/);
  });

  const jwk = toJwk(ES256);
  const shifted = Buffer.from(jwk.y as string, 'base64url');
  shifted[31]! ^= 1;
  it.each<[string, string | Record<string, unknown>]>([
    ['a point off its curve', { ...jwk, y: shifted.toString('base64url') }],
    ['a coordinate that is too short', { ...jwk, x: 'AAAA' }],
    ['a curve that the service cannot verify', toJwk(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['an RSA key of 1,024 bits', toPem(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey)],
    ['an RSA-PSS key', toPem(generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }).publicKey)],
    ['a key for agreement, not for signatures', toJwk(generateKeyPairSync('x25519').publicKey)],
    [
      'a private key in a JWK',
      { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) },
    ],
    ['a private key in PEM', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })],
    ['two PEM blocks', toPem(ES256).repeat(2)],
    ['PEM without a key in it', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['an empty JWK', {}],
    ['a JWK of which a number is no text', { ...jwk, x: 5 }],
    ['a JWK with another algorithm than its curve', { ...jwk, alg: 'ES384' }],
    ['a COSE_Key with a member too many', Buffer.from(encode(new Map<number, unknown>([[1, 1], [3, -8], [-1, 6], [-2, toBytes(toJwk(KEYS[3]![2]).x)], [2, toBytes('AAAA')]]))).toString('base64url')], // prettier-ignore
    ['CBOR that is no map', 'AA'],
    ['an empty text', ''],
    ['text that is not base64url', 'pQECAyYgASFYIA=='],
  ])('is refused: %s', (_name, given) => {
    expect(['public-key-invalid', 'malformed']).toContain(refusalOf(() => readPublicKey(given)).reason);
  });

  it('is refused for another algorithm than the line says', () => {
    expect(refusalOf(() => readPublicKey(toPem(ES256), -257)).detail).toBe(
      'the key is for ES256 (-7), not for RS256 (-257)',
    );
    expect(createPublicKey(toPem(ES256)).asymmetricKeyType).toBe('ec');
  });
});
