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

  it('takes the text as UTF-8, and returns every byte as it is', () => {
    for (const text of ['', 'a', '\0', 'é€😀', '\ud83d', '\ude00x', 'ÿ'.repeat(64), '€'.repeat(3_000)]) {
      const key = randomBytes(32);
      expect(computeHmac(key, text)).toEqual(createHmac('sha256', key).update(Buffer.from(text)).digest());
    }
  });
});
