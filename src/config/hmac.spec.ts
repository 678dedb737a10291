import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { computeHmac } from './hmac.js';

describe('computeHmac', () => {
  it.each([
    ['1', Buffer.alloc(20, 0x0b), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [
      ...(['2', Buffer.from('Jefe'), 'what do ya want for nothing?'] as const),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
  ])('computes test case %s of RFC 4231 §4', (_, key, text, mac) => {
    expect(computeHmac(key, text).toString('hex')).toBe(mac);
  });

  it.each([0, 1, 20, 32, 63, 64])('equals the HMAC-SHA-256 of node:crypto under a key of %i bytes', (length) => {
    const key = randomBytes(length);
    const texts = ['', 'a', '\0', 'é€😀', '\ud83d', '\ude00x', 'ÿ'.repeat(64), '€'.repeat(3_000), 'x'.repeat(200_000)];
    // Short texts after long ones, and the other way round.
    for (const text of [...texts, ...texts.toReversed()]) {
      expect(computeHmac(key, text)).toEqual(createHmac('sha256', key).update(text).digest());
    }
  });

  it('leaves nothing of one key or text in the HMAC of another', () => {
    computeHmac(Buffer.alloc(64, 1), 'a longer text');
    expect(computeHmac(Buffer.of(1), 'a')).toEqual(createHmac('sha256', Buffer.of(1)).update('a').digest());
  });

  it('returns bytes that a later HMAC does not change', () => {
    const [key, mac] = [randomBytes(32), computeHmac(Buffer.of(1), 'a')];
    const copy = Buffer.from(mac);
    computeHmac(key, 'b');
    expect(mac).toEqual(copy);
  });

  it('refuses a key that RFC 2104 would hash first', () => {
    expect(() => computeHmac(Buffer.alloc(65), 'a')).toThrow(RangeError);
  });
});
