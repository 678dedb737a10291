import { describe, expect, it } from '@jest/globals';
import { isOrigin } from './origin.js';

const HASH = 'pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck';

describe('an origin, exactly as a client writes it (RFC 6454 §6.2),', () => {
  it.each([
    'https://example.com',
    'https://login.bank.example',
    'https://example.com:8443',
    'https://xn--bcher-kva.example',
    'https://localhost',
    'https://192.0.2.7',
    'http://localhost',
    'http://localhost:3000',
    'http://app.localhost:3000',
    `android:apk-key-hash:${HASH}`,
    `https://${'a.'.repeat(248)}example`,
  ])('can be %s', (value) => {
    expect(isOrigin(value)).toBe(true);
  });

  it.each([
    '',
    'null',
    'example.com',
    'http://example.com',
    'http://127.0.0.1:3000',
    'http://localhost.example.com',
    'http://evil-localhost',
    'https://example.com/',
    'https://example.com/path',
    'https://example.com?query',
    'https://example.com#fragment',
    'https://example.com:443',
    'http://localhost:80',
    'https://example.com:',
    'https://example.com:0443',
    'https://EXAMPLE.com',
    'HTTPS://example.com',
    'https://user@example.com',
    'https://user:password@example.com',
    'https://bücher.example',
    'https://*.example.com',
    'https://*',
    'https://',
    'https:example.com',
    'https:/example.com',
    'https://example.com ',
    ' https://example.com',
    'https://exam\tple.com',
    'https://example.com\n',
    'https://example.com\\evil',
    'https://ex%61mple.com',
    'https://0x7f.1',
    'https://2130706433',
    'https://a_b.example',
    'ftp://example.com',
    'wss://example.com',
    'file:///etc/passwd',
    'data:text/html,x',
    'javascript:alert(1)',
    'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
    'ios:bundle-id:com.example',
    'android:apk-key-hash:',
    `android:apk-key-hash:${HASH}=`,
    `android:apk-key-hash:${HASH.slice(1)}`,
    `android:apk-key-hash:${HASH}A`,
    `android:apk-key-hash:${HASH.replace('-', '+')}`,
    `Android:apk-key-hash:${HASH}`,
    `android:apk-key-hash-sha256:${HASH}`,
    `https://${'a.'.repeat(249)}example`,
  ])('cannot be %j', (value) => {
    expect(isOrigin(value)).toBe(false);
  });

  it.each([null, undefined, 7, {}, ['https://example.com'], new URL('https://example.com')])(
    'cannot be %p',
    (value) => {
      expect(isOrigin(value)).toBe(false);
    },
  );
});
