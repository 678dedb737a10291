import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { issue, type KeyAlgorithm } from '../../test/support/authenticator/certificate-chain.js';
import { makeTwin } from '../../test/support/certificate-twin.js';
import { issueAuthority, issueCaller } from '../../test/support/trust-files.js';
import { computeTwinFingerprint } from './signature-twin.js';
import { SvidError } from './svid.js';

const sha256 = ({ fingerprint256 }: { fingerprint256: string }): string =>
  fingerprint256.replaceAll(':', '').toLowerCase();

describe('a certificate that is signed by ECDSA', () => {
  it.each(['P-256', 'P-384', 'P-521'])(
    'has a twin that its issuer’s key verifies, and is its twin’s twin: %s',
    async (namedCurve) => {
      const root = await issueAuthority({ key: { name: 'ECDSA', namedCurve } });
      for (let round = 0; round < 8; round += 1) {
        const { certificate } = await issueCaller(root);
        const twin = makeTwin(certificate, root.certificate);
        expect(twin.verify(root.certificate.publicKey)).toBe(true);
        expect(sha256(twin)).not.toBe(sha256(certificate));
        expect(computeTwinFingerprint(certificate, root.certificate)).toBe(sha256(twin));
        expect(computeTwinFingerprint(twin, root.certificate)).toBe(sha256(certificate));
      }
    },
  );

  it('has no twin when the chain does not contain the key that signed it, because a foreign curve would hide the twin', async () => {
    const root = await issueAuthority();
    const { certificate } = await issueCaller(root);
    const namesake = await issueAuthority({ key: { name: 'ECDSA', namedCurve: 'P-384' } });
    for (const issuer of [namesake.certificate, undefined]) {
      expect(() => computeTwinFingerprint(certificate, issuer)).toThrow(
        new SvidError('the certificate’s issuer is not known'),
      );
    }
  });
});

describe('a certificate that is signed by another algorithm', () => {
  it.each<[string, KeyAlgorithm]>([
    [
      'RSA',
      { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
    ],
    ['Ed25519', { name: 'Ed25519' }],
  ])('has no twin: %s', async (_, key) => {
    const root = await issueAuthority({ key });
    const { certificate } = await issue({}, root);
    expect(computeTwinFingerprint(certificate, root.certificate)).toBeUndefined();
  });
});
