import 'reflect-metadata';
import { createHash, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parseSvid, SvidError } from './svid.js';

const TRUST_DOMAIN = 'bank.example';
const ID = 'spiffe://bank.example/ns/prod/sa/auth-service';
const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const { digitalSignature, keyCertSign, cRLSign, keyEncipherment } = x509.KeyUsageFlags;
const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;

interface Profile {
  names: x509.JsonGeneralNames | null;
  ca: boolean | null;
  keyUsage: { flags: x509.KeyUsageFlags; critical: boolean } | null;
  extendedKeyUsage: string[] | null;
  serialNumber: string;
  more: x509.Extension[];
}

const GOOD: Profile = {
  names: [{ type: 'url', value: ID }],
  ca: false,
  keyUsage: { flags: digitalSignature, critical: true },
  extendedKeyUsage: [clientAuth],
  serialNumber: '5f3a',
  more: [],
};

let keys: webcrypto.CryptoKeyPair;
beforeAll(async () => {
  x509.cryptoProvider.set(webcrypto);
  keys = await webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);
});

async function certificate(changed: Partial<Profile> = {}): Promise<Buffer> {
  const { names, ca, keyUsage, extendedKeyUsage, serialNumber, more } = { ...GOOD, ...changed };
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: 'CN=auth-service',
    keys,
    signingAlgorithm: ES256,
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2027-01-01T00:00:00Z'),
    extensions: [
      ...(ca === null ? [] : [new x509.BasicConstraintsExtension(ca, undefined, true)]),
      ...(keyUsage === null ? [] : [new x509.KeyUsagesExtension(keyUsage.flags, keyUsage.critical)]),
      ...(extendedKeyUsage === null ? [] : [new x509.ExtendedKeyUsageExtension(extendedKeyUsage)]),
      ...(names === null ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      ...more,
    ],
  });
  return Buffer.from(made.rawData);
}

const url = (value: string): x509.JsonGeneralNames => [{ type: 'url', value }];

async function catchRefusal(changed: Partial<Profile>): Promise<string> {
  const der = await certificate(changed);
  try {
    return `accepted as ${parseSvid(der, TRUST_DOMAIN).spiffeId}`;
  } catch (error) {
    if (error instanceof SvidError) return error.message;
    throw error;
  }
}

describe('an X.509-SVID', () => {
  it('names the caller', async () => {
    const der = await certificate();
    const caller = parseSvid(der, TRUST_DOMAIN);
    expect(caller).toEqual({
      spiffeId: ID,
      fingerprint: new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase(),
      publicKey: createHash('sha256')
        .update(new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' }))
        .digest('hex'),
      serialNumber: '5f3a',
      notBefore: new Date('2026-01-01T00:00:00Z'),
      notAfter: new Date('2027-01-01T00:00:00Z'),
      authority: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Object.isFrozen(caller)).toBe(true);
  });

  it.each(['01', '7f', 'f3a1', '00f3a1', randomBytes(16).toString('hex')])(
    'gives the serial number %s as other tools do',
    async (serialNumber) => {
      const der = await certificate({ serialNumber });
      expect(parseSvid(der, TRUST_DOMAIN).serialNumber).toBe(new X509Certificate(der).serialNumber.toLowerCase());
    },
  );

  it.each<[string, Partial<Profile>]>([
    ['names of other types', { names: [{ type: 'dns', value: 'auth.example' }, ...url(ID)] }],
    ['an e-mail address', { names: [...url(ID), { type: 'email', value: 'ops@bank.example' }] }],
    ['no basic constraints', { ca: null }],
    ['server authentication too', { extendedKeyUsage: [clientAuth, serverAuth] }],
    ['key encipherment too', { keyUsage: { flags: digitalSignature | keyEncipherment, critical: true } }],
  ])('may have %s', async (_, profile) => {
    expect(await catchRefusal(profile)).toBe(`accepted as ${ID}`);
  });

  it.each(['a', 'a/b/c', 'A-Z_0.9', '...', '.a', 'a..b', 'x'.repeat(2_048 - 'spiffe://bank.example/'.length)])(
    'may have the path /%s',
    async (path) => {
      const id = `spiffe://bank.example/${path}`;
      expect(await catchRefusal({ names: url(id) })).toBe(`accepted as ${id}`);
    },
  );
});

describe('a certificate is not an X.509-SVID (SPIFFE X509-SVID §3 to §5)', () => {
  it.each<[string, Partial<Profile>, string]>([
    ['without names', { names: null }, 'has no URI name'],
    ['with a DNS name alone', { names: [{ type: 'dns', value: 'bank.example' }] }, 'has no URI name'],
    ['with a DNS name that reads like one', { names: [{ type: 'dns', value: ID }] }, 'has no URI name'],
    ['with an e-mail address that reads like one', { names: [{ type: 'email', value: ID }] }, 'has no URI name'],
    ['with a DNS name that hides one', { names: [{ type: 'dns', value: `x, URI:${ID}` }] }, 'has no URI name'],
    ['with two', { names: [...url(ID), ...url('spiffe://bank.example/other')] }, 'has 2 URI names'],
    ['with the same twice', { names: [...url(ID), ...url(ID)] }, 'has 2 URI names'],
    ['with another URI beside it', { names: [...url(ID), ...url('https://bank.example')] }, 'has 2 URI names'],
    ['of an authority', { ca: true }, 'is a CA'],
    [
      'that may sign certificates',
      { keyUsage: { flags: digitalSignature | keyCertSign, critical: true } },
      'has keyCertSign',
    ],
    [
      'that may sign revocation lists',
      { keyUsage: { flags: digitalSignature | cRLSign, critical: true } },
      'keyCertSign or cRLSign',
    ],
    ['that may not sign', { keyUsage: { flags: keyEncipherment, critical: true } }, 'lacks digitalSignature'],
    ['whose key usage is not critical', { keyUsage: { flags: digitalSignature, critical: false } }, 'not critical'],
    ['without key usage', { keyUsage: null }, 'key usage is absent'],
    ['without extended key usage', { extendedKeyUsage: null }, 'lacks clientAuth'],
    ['of a server', { extendedKeyUsage: [serverAuth] }, 'lacks clientAuth'],
    ['for any use', { extendedKeyUsage: ['2.5.29.37.0'] }, 'lacks clientAuth'],
  ])('%s', async (_, profile, refusal) => {
    expect(await catchRefusal(profile)).toContain(refusal);
  });

  it('with a second extension of names', async () => {
    const more = [new x509.SubjectAlternativeNameExtension(url('spiffe://bank.example/other'))];
    expect(await catchRefusal({ more })).toContain('URI names');
  });

  it.each([Buffer.alloc(0), Buffer.from([0x30]), Buffer.from('not DER'), Buffer.from('3000', 'hex')])(
    'when it cannot be parsed',
    (der) => {
      expect(() => parseSvid(der, TRUST_DOMAIN)).toThrow();
    },
  );
});

describe('a URI is not a SPIFFE ID of the trust domain (SPIFFE-ID §2)', () => {
  it.each([
    ['http://bank.example/a', 'not in the trust domain'],
    ['https://bank.example/a', 'not in the trust domain'],
    ['SPIFFE://bank.example/a', 'not in the trust domain'],
    ['spiffe:/bank.example/a', 'not in the trust domain'],
    ['spiffe:bank.example/a', 'not in the trust domain'],
    [' spiffe://bank.example/a', 'not in the trust domain'],
    ['spiffe://other.example/a', 'not in the trust domain'],
    ['spiffe://bank.example.evil/a', 'not in the trust domain'],
    ['spiffe://bank.exampleevil/a', 'not in the trust domain'],
    ['spiffe://evil.bank.example/a', 'not in the trust domain'],
    ['spiffe://BANK.example/a', 'not in the trust domain'],
    ['spiffe://bank.example:443/a', 'not in the trust domain'],
    ['spiffe://user@bank.example/a', 'not in the trust domain'],
    ['spiffe://bank.example@evil.example/a', 'not in the trust domain'],
    ['spiffe://evil.example/spiffe://bank.example/a', 'not in the trust domain'],
    ['spiffe://bank%2eexample/a', 'not in the trust domain'],
    ['spiffe:///a', 'not in the trust domain'],
    ['spiffe://bank.example', 'not in the trust domain'],
    ['spiffe://bank.example?a', 'not in the trust domain'],
    ['spiffe://bank.example/', 'path segment'],
    ['spiffe://bank.example//', 'path segment'],
    ['spiffe://bank.example/a/', 'path segment'],
    ['spiffe://bank.example//a', 'path segment'],
    ['spiffe://bank.example/a//b', 'path segment'],
    ['spiffe://bank.example/.', 'path segment'],
    ['spiffe://bank.example/..', 'path segment'],
    ['spiffe://bank.example/a/../b', 'path segment'],
    ['spiffe://bank.example/./a', 'path segment'],
    ['spiffe://bank.example/a?b', 'path segment'],
    ['spiffe://bank.example/a#b', 'path segment'],
    ['spiffe://bank.example/a%2fb', 'path segment'],
    ['spiffe://bank.example/%61', 'path segment'],
    ['spiffe://bank.example/a b', 'path segment'],
    ['spiffe://bank.example/a:b', 'path segment'],
    ['spiffe://bank.example/a\n', 'path segment'],
    ['spiffe://bank.example/a\0', 'path segment'],
    ['spiffe://bank.example/a, URI:spiffe://bank.example/b', 'path segment'],
    ['spiffe://bank.example/a\\b', 'path segment'],
    [`spiffe://bank.example/${'a'.repeat(2_049 - 'spiffe://bank.example/'.length)}`, 'longer than 2048 bytes'],
    ['', 'not in the trust domain'],
  ])('%j', async (id, refusal) => {
    expect(await catchRefusal({ names: url(id) })).toContain(refusal);
  });

  it('of another listener’s trust domain', async () => {
    const der = await certificate();
    expect(() => parseSvid(der, 'other.example')).toThrow('not in the trust domain other.example');
    expect(() => parseSvid(der, 'bank.exampl')).toThrow('not in the trust domain');
  });
});
