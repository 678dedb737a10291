import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { issue, type Issued, type Profile } from '../../test/support/authenticator/certificate-chain.js';
import { excuseAndroidPath } from './attestation-trust.js';
import { findExtension, getExtensionBytes, readCertificate } from './attestation.js';
import { validatePath } from '../x509/certificate-path.js';
import { ID_KEY_DESCRIPTION, readKeyDescription } from './key-description.js';
import { WELL_KNOWN_ROOTS } from './well-known-roots.js';

const GOOGLE = WELL_KNOWN_ROOTS['android-key']!.map((pem) => new X509Certificate(pem));
const RSA_ROOT = 'serialNumber=f92009e853b6b045';
const P384_ROOT = 'CN=Key Attestation CA1\nOU=Android\nO=Google LLC\nC=US';
const FACTORY = 'sony-xperia10-iii-sdk33-TEE_EC';

function makeChain(device: string): X509Certificate[] {
  const file = new URL(`../../test/vectors/android/${device}.pem`, import.meta.url);
  const blocks = readFileSync(file, 'latin1').match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];
  return blocks.map((pem) => new X509Certificate(pem));
}

/** The subject of the anchor, or the reason why there is none. */
function assessChain(
  chain: readonly X509Certificate[],
  day: string,
  anchors = GOOGLE,
  excuse = excuseAndroidPath,
): string {
  const verdict = validatePath(chain, anchors, new Date(`${day}T12:00:00Z`), { excuse });
  return 'anchor' in verdict ? verdict.anchor.subject : `${verdict.code}: ${verdict.cause}`;
}

describe('a chain from an Android device', () => {
  it.each([
    ['tegu-sdk36-TEE_EC_2026_ROOT', '2026-03-01', P384_ROOT],
    ['tegu-sdk36-SB_EC_2026_ROOT', '2026-03-01', P384_ROOT],
    ['tegu-sdk37-TEE_MAX_USAGE_COUNT', '2026-07-10', P384_ROOT],
    ['caiman-sdk36-TEE_EC_RKP', '2025-09-28', RSA_ROOT],
    [FACTORY, '2026-03-01', RSA_ROOT],
  ])('of %s leads on %s to a root of Google’s', (device, day, root) => {
    const chain = makeChain(device);
    expect(assessChain(chain, day)).toBe(root);
    expect(assessChain(chain.slice(0, -1), day)).toBe(root);
  });

  it('by Android’s software root leads to no root', () => {
    expect(assessChain(makeChain('marlin-sdk29-TEE_EC_NONE'), '2025-01-01')).toMatch('root-unknown');
  });

  it.each([
    ['tegu-sdk36-TEE_EC_2026_ROOT', 1],
    ['tegu-sdk36-SB_EC_2026_ROOT', 2],
    ['tegu-sdk37-TEE_MAX_USAGE_COUNT', 1],
    ['caiman-sdk36-TEE_EC_RKP', 1],
    [FACTORY, 1],
    ['marlin-sdk29-TEE_EC_NONE', 0],
  ])('of %s describes a key for signing that was generated on the security level %i', (device, level) => {
    const extension = findExtension(readCertificate(makeChain(device)[0]!).extensions, ID_KEY_DESCRIPTION)!;
    const { attestationSecurityLevel, softwareEnforced, hardwareEnforced } = readKeyDescription(
      getExtensionBytes(extension),
    );
    expect(attestationSecurityLevel).toBe(level);
    const lists = [softwareEnforced, hardwareEnforced];
    expect(lists.flatMap(({ purpose }) => purpose ?? [])).toContain(2);
    expect(lists.map(({ origin }) => origin).filter((origin) => origin !== undefined)).toEqual([0]);
  });
});

describe('the exceptions for Google (docs/adr/0007-attestation-formats.md)', () => {
  it('cover the end of certificates from the factory, and of a batch that is not an authority', () => {
    expect(assessChain(makeChain(FACTORY), '2030-01-01')).toBe(RSA_ROOT);
    expect(assessChain(makeChain(FACTORY), '2030-01-01', GOOGLE, () => ({ leafIssuer: true }))).toMatch(
      'not-valid-now',
    );
    expect(assessChain(makeChain(FACTORY), '2030-01-01', GOOGLE, () => ({ ended: true }))).toMatch(
      'not a certificate authority',
    );
  });

  it('do not cover certificates that are not valid yet', () => {
    expect(assessChain(makeChain(FACTORY), '2016-01-01')).toMatch('not-valid-now');
  });

  it('do not cover the end of certificates that a phone fetches', () => {
    expect(assessChain(makeChain('tegu-sdk36-TEE_EC_2026_ROOT'), '2026-05-01')).toMatch('not-valid-now');
    expect(assessChain(makeChain('caiman-sdk36-TEE_EC_RKP'), '2025-10-04')).toMatch('not-valid-now');
  });

  it('cover the dates that the device writes into the key’s own certificate', async () => {
    const root = await issue({ subject: 'CN=Root', ca: true });
    const leaf = await issue({ notAfter: new Date(0), notBefore: new Date(0) }, root);
    const today = new Date().toISOString().slice(0, 10);
    expect(assessChain([leaf.certificate], today, [root.certificate])).toBe('CN=Root');
  });

  it('apply only below Google’s own root: the same name with another key excuses nothing', async () => {
    const profile = (serial: string, ca = true): Profile => ({ subject: `2.5.4.5=${serial}`, ca });
    const root = await issue(profile('f92009e853b6b045'));
    const intermediate = await issue(profile('87f4514475ba0a2b'), root);
    const batch = await issue(profile('3e7fb6a1ee4bd568', false), intermediate);
    const chain = [await issue({}, batch), batch, intermediate].map(({ certificate }: Issued) => certificate);
    expect(root.certificate.subject).toBe(RSA_ROOT);
    const today = new Date().toISOString().slice(0, 10);
    expect(assessChain(chain, today, [root.certificate])).toMatch('not a certificate authority');
  });
});
