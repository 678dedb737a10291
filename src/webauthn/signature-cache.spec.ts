import { describe, expect, it } from '@jest/globals';
import { encode } from 'cborg';
import { generateKey } from '../../test/support/authenticator/keys.js';
import { VerifierCache } from './signature.js';

const MAX_BYTES = 100_000;

/** A key with a foreign member. Older versions of the service stored such keys. */
function makeKey(member: number, bytes = 0): Buffer {
  const { cose } = generateKey('ES256');
  const more = encode(new Map([[100 + member, Buffer.alloc(bytes)]])).subarray(1);
  return Buffer.concat([Buffer.from([cose[0]! + 1]), cose.subarray(1), more]);
}

describe('the cache of imported keys', () => {
  it('gives the same key object again', () => {
    const cache = new VerifierCache(MAX_BYTES);
    const key = makeKey(0);
    expect(cache.get(Buffer.from(key)).key).toBe(cache.get(key).key);
  });

  it('holds no more bytes than its bound, however long the keys are', () => {
    const cache = new VerifierCache(MAX_BYTES);
    for (let n = 0; n < 30; n += 1) {
      cache.get(makeKey(n, 20_000));
      expect(cache.bytes).toBeLessThanOrEqual(MAX_BYTES);
    }
    expect(cache.bytes).toBeGreaterThan(MAX_BYTES / 2);
  });

  it('drops the key that was unused for the longest time first', () => {
    const cache = new VerifierCache(MAX_BYTES);
    const [used, unused] = [makeKey(0), makeKey(1)];
    const [usedKey, unusedKey] = [cache.get(used).key, cache.get(unused).key];
    for (let n = 0; n < 30; n += 1) {
      cache.get(makeKey(n));
      expect(cache.get(used).key).toBe(usedKey);
    }
    expect(cache.get(unused).key).not.toBe(unusedKey);
  });

  it('does not keep a key that is larger than its bound', () => {
    const cache = new VerifierCache(10_000);
    expect(cache.get(makeKey(0, 20_000)).key.asymmetricKeyType).toBe('ec');
    expect(cache.bytes).toBe(0);
  });
});
