import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import { type Attestation, fidoU2fBy, packedBy, packedSelf } from '../../test/support/authenticator/attestation.js';
import {
  type AttestationAuthority,
  type AttestationCertificate,
  createAttestationAuthority,
} from '../../test/support/authenticator/attestation-authority.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { runRegistration } from '../../test/support/pure-ceremonies.js';
import type { RegistrationExpectation } from './verify-registration.js';
import { FIDO_METADATA_ROOTS, SHIPPED_ROOTS, WELL_KNOWN_ROOTS } from './well-known-roots.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const ROOT = 'CN=Example Authenticators Root, O=Example Authenticators, C=XX';

let maker: AttestationAuthority;
let other: AttestationAuthority;
let leaf: AttestationCertificate;
let network: ClosedNetwork;

beforeAll(async () => {
  [maker, other] = [await createAttestationAuthority(), await createAttestationAuthority('Another Maker')];
  leaf = await maker.issue({ aaguid: AAGUID });
  network = new ClosedNetwork();
});
afterEach(() => {
  expect(network.attempts).toEqual([]);
});
afterAll(() => {
  network.open();
});

const attested = (attestation: Attestation, expected: Partial<RegistrationExpectation>, aaguid = AAGUID) =>
  runRegistration({ interference: { attestation, aaguid }, expected }).then((verified) => verified.attestation);

describe('WebAuthn L3 §7.1 step 24: an attestation', () => {
  it('is trusted when it ends in a root of its format and model', async () => {
    const asked: string[][] = [];
    const roots = (...what: string[]): string[] => {
      asked.push(what);
      return [other.rootPem, maker.rootPem];
    };
    expect(await attested(packedBy(leaf), { roots })).toEqual({ format: 'packed', trust: 'trusted', root: ROOT });
    expect(asked).toEqual([['packed', AAGUID]]);
  });

  it('is trusted for fido-u2f too', async () => {
    const zeros = '00000000-0000-0000-0000-000000000000';
    const verdict = await attested(fidoU2fBy(leaf), { roots: () => [maker.rootPem] }, zeros);
    expect(verdict).toEqual({ format: 'fido-u2f', trust: 'trusted', root: ROOT });
  });

  it('is trusted when metadata lists the attestation certificate itself', async () => {
    const pem = new x509.X509Certificate(new Uint8Array(leaf.chain[0]!)).toString('pem');
    expect(await attested(packedBy(leaf), { roots: () => [pem] })).toMatchObject({ trust: 'trusted' });
  });

  it.each<[string, () => string[], string]>([
    ['without roots', () => [], 'it does not end in a known root'],
    ['by another maker', () => [other.rootPem], 'it does not end in a known root'],
    ['with a root that cannot be parsed', () => ['no certificate'], 'it does not end in a known root'],
  ])('is untrusted %s', async (_, roots, cause) => {
    const distrust = { code: 'root-unknown', detail: expect.stringContaining(cause) };
    expect(await attested(packedBy(leaf), { roots })).toEqual({ format: 'packed', trust: 'untrusted', distrust });
  });

  it('is untrusted at a time when its certificates are not valid', async () => {
    const now = new Date(Date.now() + 400 * 86_400_000);
    const verdict = await attested(packedBy(leaf), { roots: () => [maker.rootPem], now });
    const detail = expect.stringContaining('is not valid at this time');
    expect(verdict).toMatchObject({ trust: 'untrusted', distrust: { code: 'not-valid-now', detail } });
  });

  it('is self whatever the roots are', async () => {
    expect(await attested(packedSelf, { roots: () => [maker.rootPem] })).toEqual({ format: 'packed', trust: 'self' });
  });

  it('names the root that an unknown chain claims, and what an operator can do', async () => {
    const { distrust } = await attested(packedBy(leaf), { roots: () => [other.rootPem] });
    expect(distrust?.detail).toContain(`is issued by "${ROOT}"`);
    expect(distrust?.detail).toContain('add it to PASSKEY_ATTESTATION_ROOTS_FILE');
  });
});

describe('the roots that ship with the service', () => {
  it('are Apple’s, Google’s two and those of FIDO metadata, and they are valid', () => {
    const subjects = SHIPPED_ROOTS.map(({ pem }) => new X509Certificate(pem).subject.replaceAll('\n', ', '));
    expect(subjects).toEqual([
      'CN=Apple WebAuthn Root CA, O=Apple Inc., ST=California',
      'serialNumber=f92009e853b6b045',
      'CN=Key Attestation CA1, OU=Android, O=Google LLC, C=US',
      'OU=GlobalSign Root CA - R3, O=GlobalSign, CN=GlobalSign',
      'C=BE, O=GlobalSign nv-sa, CN=GlobalSign Root R46',
    ]);
    expect(
      [WELL_KNOWN_ROOTS['apple'], WELL_KNOWN_ROOTS['android-key'], FIDO_METADATA_ROOTS].map((roots) => roots?.length),
    ).toEqual([1, 2, 2]);
  });

  it.each(SHIPPED_ROOTS.map((root) => [root.fingerprint.slice(0, 16), root] as const))(
    '%s… say where it is from and since when, and it is that certificate, self-signed and valid',
    (_, { fingerprint, source, asOf, pem }) => {
      const certificate = new X509Certificate(pem);
      expect(certificate.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(fingerprint);
      expect(certificate.verify(certificate.publicKey)).toBe(true);
      expect(new Date() < certificate.validToDate).toBe(true);
      expect([source, asOf]).toEqual([expect.stringMatching(/^https:/), expect.stringMatching(/^20\d\d-\d\d-\d\d$/)]);
    },
  );
});
