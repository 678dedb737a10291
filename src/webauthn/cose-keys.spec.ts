import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decode } from 'cborg';
import { type AlgorithmName, COSE, generateKey } from '../../test/support/authenticator/keys.js';
import { importPublicKey, verifyPublicKey } from './cose.js';

type CoseKey = Map<number, unknown>;

const keyOf = (algorithm: AlgorithmName): CoseKey => decode(generateKey(algorithm).cose, { useMaps: true }) as CoseKey;

const P256 = keyOf('ES256');
const P384 = keyOf('ES384');
const ED25519 = keyOf('EdDSA');
const RSA = keyOf('RS256');
const ML_DSA = keyOf('ML-DSA-44');

/** A key with members replaced; `undefined` removes one. */
const but = (key: CoseKey, members: Record<number, unknown>): CoseKey => {
  const changed = new Map(key);
  for (const [label, value] of Object.entries(members)) {
    if (value === undefined) changed.delete(Number(label));
    else changed.set(Number(label), value);
  }
  return changed;
};

const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');
const turned = (bytes: unknown): Buffer => {
  const copy = Buffer.from(bytes as Uint8Array);
  copy[0]! ^= 1;
  return copy;
};
const modulusOf = (modulusLength: number): Buffer => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url');
};

/** The y coordinates of the points of small order in 32 little-endian bytes. RFC 7748 §6.1 warns of such points. */
const SMALL_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];
const withSign = (y: string): string =>
  Buffer.from(hex(y).map((byte, at) => (at === 31 ? byte | 0x80 : byte))).toString('hex');

describe('the credential public key', () => {
  it.each(Object.entries(COSE))('for %s is accepted as %i', (name, cose) => {
    expect(verifyPublicKey(keyOf(name as AlgorithmName))).toBe(cose);
  });

  it.each(Object.keys(COSE) as AlgorithmName[])('for %s has no member that its key type does not have', (name) => {
    for (const foreign of [{ 2: hex('00') }, { 4: [2] }, { [-4]: hex('00') }, { 100: 0 }]) {
      expect(() => verifyPublicKey(but(keyOf(name), foreign))).toThrow('public-key-invalid');
    }
  });

  it('that was stored with other members is still read', () => {
    expect(importPublicKey(but(P256, { 2: hex('00') })).asymmetricKeyType).toBe('ec');
  });

  it.each<[string, CoseKey]>([
    ['without an algorithm', but(P256, { 3: undefined })],
    ['in ES256K', but(P256, { 3: -47, [-1]: 8 })],
    ['in RS1', but(RSA, { 3: -65_535 })],
    ['of ML-DSA-44 in ML-DSA-65', but(ML_DSA, { 3: -49 })],
    ['in an algorithm by name', but(P256, { 3: 'ES256' })],
    ['of no type', but(P256, { 1: undefined })],
    ['of a type by name', but(P256, { 1: 'EC2' })],
    ['of type OKP in ES256', but(P256, { 1: 1 })],
    ['of type EC2 in EdDSA', but(P256, { 3: -8 })],
    ['of type RSA in ES256', but(RSA, { 3: -7 })],
    ['of type EC2 in RS256', but(P256, { 3: -257 })],
    ['of type RSA in ML-DSA-44', but(RSA, { 3: -48 })],
    ['on P-384 in ES256', but(P384, { 3: -7 })],
    ['on P-256 in ES384', but(P256, { 3: -35 })],
    ['on P-521 in ES256', but(keyOf('ES512'), { 3: -7 })],
    ['on secp256k1 in ES256', but(P256, { [-1]: 8 })],
    ['on no curve', but(P256, { [-1]: undefined })],
    ['on a curve by name', but(P256, { [-1]: 'P-256' })],
    ['on Ed448', but(ED25519, { [-1]: 7, [-2]: Buffer.alloc(57, 1) })],
    ['on X25519', but(ED25519, { [-1]: 4 })],
  ])('%s is refused, because type, curve and algorithm go together', (_, key) => {
    expect(() => verifyPublicKey(key)).toThrow('public-key-invalid');
  });

  it.each<[string, CoseKey]>([
    ['an EC2 key without x', but(P256, { [-2]: undefined })],
    ['an EC2 key without y', but(P256, { [-3]: undefined })],
    ['a compressed point (§5.8.5 forbids it)', but(P256, { [-3]: true })],
    ['x as text', but(P256, { [-2]: 'A'.repeat(32) })],
    ['x of 31 bytes', but(P256, { [-2]: Buffer.alloc(31, 1) })],
    ['x with a leading zero', but(P256, { [-2]: Buffer.concat([hex('00'), P256.get(-2) as Buffer]) })],
    ['a point off the curve', but(P256, { [-2]: turned(P256.get(-2)) })],
    ['a point of zeros', but(P256, { [-2]: Buffer.alloc(32), [-3]: Buffer.alloc(32) })],
    ['coordinates above the field', but(P256, { [-2]: Buffer.alloc(32, 0xff), [-3]: Buffer.alloc(32, 0xff) })],
    ['an OKP key without x', but(ED25519, { [-2]: undefined })],
    ['an OKP key of 31 bytes', but(ED25519, { [-2]: Buffer.alloc(31, 1) })],
    ['an ML-DSA-44 key of 1,311 bytes', but(ML_DSA, { [-1]: Buffer.alloc(1_311, 1) })],
    ['an ML-DSA-44 key of ML-DSA-65 size', but(ML_DSA, { [-1]: Buffer.alloc(1_952, 1) })],
    ['an ML-DSA-44 key without its bytes', but(ML_DSA, { [-1]: undefined })],
  ])('%s is refused', (_, key) => {
    expect(() => verifyPublicKey(key)).toThrow('public-key-invalid');
  });

  it.each<[string, () => CoseKey]>([
    ['the key names no algorithm that this service can verify', () => but(P256, { 3: -47 })],
    ['the key type is not that of ES256', () => but(P256, { 1: 1 })],
    ['the curve is not that of ES256', () => but(P256, { [-1]: 2 })],
    ['the key’s member -2 is not a byte string of 32 bytes', () => but(P256, { [-2]: undefined })],
    ['the key’s member -1 is not a byte string', () => but(RSA, { [-1]: undefined })],
    ['the numbers of the key are not a valid key for ES256', () => but(P256, { [-2]: turned(P256.get(-2)) })],
    ['the RSA exponent is even or smaller than 65,537', () => but(RSA, { [-2]: hex('03') })],
    ['the RSA modulus is even', () => but(RSA, { [-1]: Buffer.alloc(256, 0xfe) })],
    ['the RSA key has 1024 bits, not 2,048 to 8,192', () => but(RSA, { [-1]: modulusOf(1_024) })],
    ['the Ed25519 point has a small order', () => but(ED25519, { [-2]: hex(SMALL_ORDER[0]!) })],
    ['the Ed25519 point is off the curve', () => but(ED25519, { [-2]: Buffer.concat([hex('02'), Buffer.alloc(31)]) })],
  ])('says why it is refused: %s', (detail, key) => {
    expect(() => verifyPublicKey(key())).toThrow(expect.objectContaining({ reason: 'public-key-invalid', detail }));
  });

  describe('on Ed25519 has an order that makes signatures meaningful', () => {
    it.each([...SMALL_ORDER, ...SMALL_ORDER.map(withSign)])('%s does not', (point) => {
      expect(() => verifyPublicKey(but(ED25519, { [-2]: hex(point) }))).toThrow('public-key-invalid');
    });

    it.each([
      ['0200000000000000000000000000000000000000000000000000000000000000'],
      ['0700000000000000000000000000000000000000000000000000000000000000'],
      ['f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ])('%s is not a point of the curve, or another way to write one', (point) => {
      expect(() => verifyPublicKey(but(ED25519, { [-2]: hex(point) }))).toThrow('public-key-invalid');
    });

    it('is accepted in 50 of 50 generated cases', () => {
      for (let count = 0; count < 50; count += 1) expect(verifyPublicKey(keyOf('EdDSA'))).toBe(-8);
    });
  });

  describe('for RSA', () => {
    it.each(['', '01', '03', '02', '010000', '000001', '000003', '00010001', 'ffffffffffffffffff'])(
      'is refused with the exponent 0x%s',
      (exponent) => {
        expect(() => verifyPublicKey(but(RSA, { [-2]: hex(exponent) }))).toThrow('public-key-invalid');
      },
    );

    it.each<[string, () => unknown]>([
      ['of 512 bits', () => modulusOf(512)],
      ['of 1,024 bits', () => modulusOf(1_024)],
      ['of 2,040 bits', () => modulusOf(2_040)],
      ['of 16,384 bits', () => Buffer.alloc(2_048, 0xff)],
      ['of no bits', () => Buffer.alloc(0)],
      ['of zeros', () => Buffer.alloc(256)],
      ['as a number', () => 65_537],
      ['that is absent', () => undefined],
    ])('is refused with a modulus %s', (_, modulus) => {
      expect(() => verifyPublicKey(but(RSA, { [-1]: modulus() }))).toThrow('public-key-invalid');
    });

    it('may have an exponent of 8 bytes', () => {
      expect(verifyPublicKey(but(RSA, { [-2]: hex('8000000000000001') }))).toBe(-257);
    });

    it('is accepted from 2,048 to 8,192 bits', () => {
      expect(verifyPublicKey(but(RSA, { [-1]: Buffer.alloc(1_024, 0xff) }))).toBe(-257);
      expect(verifyPublicKey(but(RSA, { [-1]: modulusOf(3_072) }))).toBe(-257);
    });
  });
});
