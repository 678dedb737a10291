import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { verifySignature } from '@simplewebauthn/server/helpers';
import { encode } from 'cborg';
import fc from 'fast-check';
import {
  type AlgorithmName,
  COSE,
  type CredentialKey,
  generateKey,
  signWith,
} from '../../test/support/authenticator/keys.js';
import { verifyAssertionSignature } from './signature.js';

const DATA = randomBytes(100);

interface Sample {
  readonly key: CredentialKey;
  readonly other: CredentialKey;
  readonly signature: Buffer;
}

const sampleOf = (algorithm: AlgorithmName): Sample => {
  const [key, other] = [generateKey(algorithm), generateKey(algorithm)];
  return { key, other, signature: signWith(key, DATA) };
};

/** The library's result. The library throws if it cannot parse its input. */
const libraryHolds = (coseKey: Buffer, signed: Buffer, signature: Buffer): Promise<boolean> =>
  verifySignature({
    credentialPublicKey: new Uint8Array(coseKey),
    data: new Uint8Array(signed),
    signature: new Uint8Array(signature),
  }).catch(() => false);

const flipped = (bytes: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(bytes);
  const at = bit % (8 * bytes.length);
  copy[at >> 3]! ^= 1 << (at & 7);
  return copy;
};

const mutations = fc.oneof(
  fc.record({ kind: fc.constant('signature' as const), bit: fc.nat() }),
  fc.record({ kind: fc.constant('data' as const), bit: fc.nat() }),
  fc.record({ kind: fc.constant('length' as const), bytes: fc.integer({ min: -8, max: 8 }) }),
  fc.record({ kind: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 80 }) }),
);

type Mutation = typeof mutations extends fc.Arbitrary<infer T> ? T : never;

function mutated(signature: Buffer, mutation: Mutation): [data: Buffer, signature: Buffer] {
  switch (mutation.kind) {
    case 'signature':
      return [DATA, flipped(signature, mutation.bit)];
    case 'data':
      return [flipped(DATA, mutation.bit), signature];
    case 'length':
      return [DATA, Buffer.concat([signature, Buffer.alloc(8)]).subarray(0, signature.length + mutation.bytes)];
    case 'bytes':
      return [DATA, Buffer.from(mutation.bytes)];
  }
}

describe.each(Object.keys(COSE) as AlgorithmName[])('a signature by %s', (algorithm) => {
  const { key, other, signature } = sampleOf(algorithm);

  it('verifies for its key and its data, repeatedly, as SimpleWebAuthn says', async () => {
    for (let n = 0; n < 3; n += 1) expect(verifyAssertionSignature(key.cose, DATA, signature)).toBe(true);
    expect(await libraryHolds(key.cose, DATA, signature)).toBe(true);
  });

  it('does not verify for another key or other data', () => {
    expect(verifyAssertionSignature(other.cose, DATA, signature)).toBe(false);
    expect(verifyAssertionSignature(key.cose, flipped(DATA, 0), signature)).toBe(false);
    expect(verifyAssertionSignature(other.cose, DATA, signWith(other, DATA))).toBe(true);
  });

  it('does not verify when SimpleWebAuthn refuses it, or when anything was changed', async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async (mutation) => {
        const [data, changed] = mutated(signature, mutation);
        const same = data.equals(DATA) && changed.equals(signature);
        expect(verifyAssertionSignature(key.cose, data, changed)).toBe(same);
        if (same) expect(await libraryHolds(key.cose, data, changed)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('does not verify when it is empty', () => {
    expect(verifyAssertionSignature(key.cose, DATA, Buffer.alloc(0))).toBe(false);
  });
});

describe('an ECDSA signature', () => {
  const { key, signature } = sampleOf('ES256');
  const der = (...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => Buffer.concat([Buffer.from([2, part.length]), part])));
    return Buffer.concat([Buffer.from([0x30, body.length]), body]);
  };

  it.each<[string, Buffer]>([
    ['r = s = 0', der(Buffer.from([0]), Buffer.from([0]))],
    ['r = s = 1', der(Buffer.from([1]), Buffer.from([1]))],
    ['bytes behind it', Buffer.concat([signature, Buffer.from([0])])],
    ['a length in the long form', Buffer.concat([Buffer.from([0x30, 0x81]), signature.subarray(1)])],
    ['raw r and s, as IEEE P1363 writes them', Buffer.alloc(64, 1)],
  ])('with %s does not verify', (_, forged) => {
    expect(verifyAssertionSignature(key.cose, DATA, forged)).toBe(false);
  });
});

describe('a stored key', () => {
  it.each<[string, Buffer]>([
    ['is not CBOR', Buffer.from('ff', 'hex')],
    ['is not a map', Buffer.from(encode([1]))],
    ['has no algorithm that can be verified', Buffer.from(encode(new Map([[3, -47]])))],
  ])('that %s verifies nothing, and throws nothing', (_, cose) => {
    expect(verifyAssertionSignature(cose, DATA, Buffer.alloc(64))).toBe(false);
  });

  it('is found by all of its bytes', () => {
    const { key, signature } = sampleOf('ES256');
    for (let bit = 0; bit < 8 * key.cose.length; bit += 37) {
      expect(verifyAssertionSignature(flipped(key.cose, bit), DATA, signature)).toBe(false);
    }
    expect(verifyAssertionSignature(key.cose, DATA, signature)).toBe(true);
  });
});
