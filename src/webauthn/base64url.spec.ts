import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decodeBase64url } from './client-data.js';

describe('base64url without padding (RFC 4648 §5)', () => {
  it.each([
    ['', ''],
    ['AA', '00'],
    ['-_8', 'fbff'],
    ['AAEC', '000102'],
  ])('reads "%s" as the bytes %s', (text, hex) => {
    expect(decodeBase64url(text, 'it').toString('hex')).toBe(hex);
  });

  it('reads what it writes', () => {
    for (let length = 0; length < 100; length += 1) {
      const bytes = randomBytes(length);
      expect(decodeBase64url(bytes.toString('base64url'), 'it')).toEqual(bytes);
    }
  });

  it.each([
    'AA==',
    'AA=',
    '+/8',
    '-/8',
    'A',
    'AAAAA',
    'AB',
    'AAB',
    ' AA',
    'AA\n',
    'A A',
    'AA\0',
    'ÄÄ',
    '*',
    '%41',
    'AA.AA',
  ])('refuses %j: padding, foreign characters, stray bits', (text) => {
    expect(() => decodeBase64url(text, 'the signature')).toThrow('malformed: the signature is not base64url');
  });
});
