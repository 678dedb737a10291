import { describe, expect, it } from '@jest/globals';
import { isTokenUri, parseTokenUri, TokenError } from './token-uri.js';

const QUERY = '?module-path=/usr/lib/hsm.so&pin-source=/run/pin';

describe('a pkcs11 URI (RFC 7512)', () => {
  it('names a key by token and label', () => {
    expect(parseTokenUri(`pkcs11:token=passkeys;object=audit${QUERY}`)).toEqual({
      module: '/usr/lib/hsm.so',
      pinFile: '/run/pin',
      token: 'passkeys',
      serial: undefined,
      object: 'audit',
      id: undefined,
    });
  });

  it('names a key by its id, and a token also by its serial number, in any order', () => {
    const uri = 'pkcs11:id=%01%fF1;serial=00%2071;token=t?pin-source=/p&module-path=/m';
    expect(parseTokenUri(uri)).toMatchObject({ id: '01ff31', serial: '00 71', token: 't', object: undefined });
  });

  it.each([
    ['a semicolon, a question mark and a percent sign', 'a%3Bb%3Fc%25d', 'a;b?c%d'],
    ['letters of any language', 'Schl%C3%BCssel', 'Schlüssel'],
    ['letters that nobody encoded', 'Schlüssel', 'Schlüssel'],
    ['an equals sign', 'a=b', 'a=b'],
  ])('has texts with %s', (_, encoded, text) => {
    expect(parseTokenUri(`pkcs11:token=${encoded};object=x${QUERY}`).token).toBe(text);
  });

  it.each([
    ['/run/pin', '/run/pin'],
    ['file:/run/pin', '/run/pin'],
    ['file:///run/pin', '/run/pin'],
    ['/run/a%20pin', '/run/a pin'],
  ])('names the file of the PIN as %s', (source, path) => {
    expect(parseTokenUri(`pkcs11:token=t;object=x?module-path=/m&pin-source=${source}`).pinFile).toBe(path);
  });

  it.each([
    ['without a token', `pkcs11:object=x${QUERY}`, 'must name the token'],
    ['without a key', `pkcs11:token=t${QUERY}`, 'must name the object, or its id'],
    ['without anything', 'pkcs11:', 'each with a value'],
    ['without a module', 'pkcs11:token=t;object=x?pin-source=/p', 'must have a module-path, as an absolute path'],
    ['without a PIN', 'pkcs11:token=t;object=x?module-path=/m', 'must have a pin-source'],
    ['without settings', 'pkcs11:token=t;object=x', 'each with a value'],
    ['with a relative module', 'pkcs11:token=t;object=x?module-path=m.so&pin-source=/p', 'absolute path'],
    [
      'with a program that prints the PIN',
      'pkcs11:token=t;object=x?module-path=/m&pin-source=|/bin/p',
      'absolute path',
    ],
    ['with a file on another host', 'pkcs11:token=t;object=x?module-path=/m&pin-source=file://h/p', 'absolute path'],
    ['with an empty label', `pkcs11:token=;object=x${QUERY}`, 'each with a value'],
    ['with an attribute that we do not know', `pkcs11:token=t;object=x;slot-id=0${QUERY}`, 'each with a value'],
    ['with a label that appears twice', `pkcs11:token=t;token=u;object=x${QUERY}`, 'has one token'],
    ['with half a percent code', `pkcs11:token=t%2;object=x${QUERY}`, 'two digits after each percent sign'],
    ['with two question marks', `pkcs11:token=t;object=x${QUERY}?`, 'one question mark'],
  ])('%s is refused', (_, uri, reason) => {
    expect(() => parseTokenUri(uri)).toThrow(TokenError);
    expect(() => parseTokenUri(uri)).toThrow(reason);
  });

  it('must not hold the PIN, and the refusal does not repeat it', () => {
    const refuse = (): unknown => parseTokenUri('pkcs11:token=t;object=x?module-path=/m&pin-value=271828');
    expect(refuse).toThrow('must not hold the PIN');
    expect(refuse).not.toThrow('271828');
  });

  it('begins with its scheme', () => {
    expect(['pkcs11:token=t', 'PKCS11:token=t', ' pkcs11:', 'cGtjczExOg=='].map(isTokenUri)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});
