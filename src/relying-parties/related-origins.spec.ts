import { describe, expect, it } from '@jest/globals';
import { listRelatedNames, listRelatedOrigins, listUnusableOrigins } from './related-origins.js';

const RP_ID = 'example.com';

describe('related origins (WebAuthn L3 §5.11)', () => {
  it.each<[string, string[], string[]]>([
    ['leave out the RP ID itself', ['https://example.com'], []],
    ['leave out its subdomains and other ports', ['https://login.example.com', 'https://example.com:8443'], []],
    ['leave out apps and loopback', ['android:apk-key-hash:AAAA', 'http://localhost:3000'], []],
    ['keep a domain that only ends in the same letters', ['https://notexample.com'], ['https://notexample.com']],
    [
      'keep the order of the settings',
      ['https://example.de', 'https://example.com', 'https://example.at', 'https://a.example.de'],
      ['https://example.de', 'https://example.at', 'https://a.example.de'],
    ],
  ])('%s', (_, origins, expected) => {
    expect(listRelatedOrigins(RP_ID, origins)).toEqual(expected);
  });

  it.each<[string, string[], string[]]>([
    ['one name for all of a domain', ['https://a.shop.de', 'https://b.shop.de'], ['shop']],
    ['one name under several suffixes', ['https://shop.de', 'https://shop.co.uk', 'https://shop.at'], ['shop']],
    ['a name for each customer of a public suffix', ['https://a.github.io', 'https://b.github.io'], ['a', 'b']],
    ['no name for the own domain', ['https://www.example.com', 'https://example.de'], ['example']],
    ['no name for a public suffix', ['https://co.uk'], []],
  ])('count %s (§5.11.1)', (_, origins, names) => {
    expect(listRelatedNames(RP_ID, origins)).toEqual(names);
  });

  it.each<[string, string, boolean]>([
    ['the RP ID itself', 'https://example.com', false],
    ['a port of a subdomain', 'https://login.example.com:8443', false],
    ['a related domain', 'https://login.example.co.uk', false],
    ['an app', `android:apk-key-hash:${'A'.repeat(43)}`, false],
    ['a public suffix', 'https://co.uk', true],
    ['an address', 'https://192.0.2.1', true],
    ['a host without a domain', 'https://intranet', true],
    ['loopback', 'http://localhost:3000', true],
  ])('tell whether a browser can use %s, %s (§5.11.1)', (_, origin, strange) => {
    expect(listUnusableOrigins(RP_ID, [origin])).toEqual(strange ? [origin] : []);
  });

  it('do not matter for loopback when that is the RP ID', () => {
    expect(listUnusableOrigins('localhost', ['http://localhost:3000', 'http://app.localhost'])).toEqual([]);
  });
});
