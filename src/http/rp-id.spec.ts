import { describe, expect, it } from '@jest/globals';
import { isRpId } from './rp-id.js';

const LONG = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}`;

describe('an RP ID (WebAuthn L3 §4)', () => {
  it.each([
    'localhost',
    'example.com',
    'login.bank.example',
    'xn--bcher-kva.example',
    'a.b.c.d.e.f.example',
    '1.example',
    '4chan.example',
    'a-b.example',
    'a--b.example',
    `${LONG}.${'d'.repeat(61)}`,
  ])('can be %s', (value) => {
    expect(isRpId(value)).toBe(true);
  });

  it.each([
    '',
    '.',
    'example.com.',
    '.example.com',
    'login..example',
    'Example.com',
    'EXAMPLE.COM',
    'bücher.example',
    'example.com:443',
    'https://example.com',
    'example.com/',
    'user@example.com',
    '*.example.com',
    'example.com?',
    'example.com#',
    'a_b.example',
    '-a.example',
    'a-.example',
    'example.com ',
    ' example.com',
    'example.com\n',
    'example\0.com',
    'ex%61mple.com',
    '127.0.0.1',
    '192.0.2.7',
    '1',
    '[::1]',
    '::1',
    `${'a'.repeat(64)}.example`,
    `${LONG}.${'d'.repeat(62)}`,
    'a'.repeat(60_000),
  ])('cannot be %j', (value) => {
    expect(isRpId(value)).toBe(false);
  });

  it.each([null, undefined, 7, true, {}, ['example.com'], { length: 5 }])('cannot be %p', (value) => {
    expect(isRpId(value)).toBe(false);
  });
});
