import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import { type Attestation, fidoU2fBy, packedBy, packedSelf } from '../../test/support/authenticator/attestation.js';
import {
  type AttestationAuthority,
  type AttestationCertificate,
  createAttestationAuthority,
} from '../../test/support/authenticator/attestation-authority.js';
import { issue, type Profile } from '../../test/support/authenticator/certificate-chain.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { expectRefusal, registration } from '../../test/support/pure-ceremonies.js';
import { weaknessOf } from './attestation-statement.js';
import { assessTrust } from './attestation-trust.js';
import type { RegistrationExpectation } from './verify-registration.js';
import { WELL_KNOWN_ROOTS } from './well-known-roots.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const ROOT = 'CN=Example Authenticators Root, O=Example Authenticators, C=XX';
const MODEL = 'CN=Model One, OU=Authenticator Attestation, O=Example, C=XX';

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
  registration({ interference: { attestation, aaguid }, expected }).then((verified) => verified.attestation);

const packedLeaf = async (profile: Profile): Promise<AttestationCertificate> => {
  const { certificate, privateKey } = await issue({ subject: MODEL, ...profile });
  return { chain: [certificate.raw], privateKey };
};

describe('WebAuthn L3 §7.1 step 24: how far the attestation is trusted', () => {
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
    ['without roots', () => [], 'it ends in no known root'],
    ['by another maker', () => [other.rootPem], 'it ends in no known root'],
    ['with a root that is none', () => ['no certificate'], 'it ends in no known root'],
  ])('is untrusted %s', async (_, roots, cause) => {
    expect(await attested(packedBy(leaf), { roots })).toEqual({ format: 'packed', trust: 'untrusted', cause });
  });

  it('is untrusted at a time when its certificates are not valid', async () => {
    const now = new Date(Date.now() + 400 * 86_400_000);
    const verdict = await attested(packedBy(leaf), { roots: () => [maker.rootPem], now });
    expect(verdict).toMatchObject({ trust: 'untrusted', cause: expect.stringContaining('is not valid at this time') });
  });

  it('is self whatever the roots', async () => {
    expect(await attested(packedSelf, { roots: () => [maker.rootPem] })).toEqual({ format: 'packed', trust: 'self' });
  });

  it('is untrusted when it is signed with SHA-1, as TPMs do', async () => {
    const { certificate, pem } = await issue();
    const weakness = weaknessOf(new Map([['alg', -65_535]]));
    const verdict = assessTrust({ format: 'tpm', certificates: [certificate], weakness }, [pem], new Date());
    expect(verdict).toEqual({ format: 'tpm', trust: 'untrusted', cause: 'it is signed with SHA-1' });
  });

  it('has Apple’s and Google’s roots, and they are valid', () => {
    expect(Object.keys(WELL_KNOWN_ROOTS)).toEqual(['apple', 'android-key']);
    for (const roots of Object.values(WELL_KNOWN_ROOTS)) {
      expect(roots.some((pem) => new x509.X509Certificate(pem).notAfter > new Date())).toBe(true);
    }
  });
});

describe('WebAuthn L3 §8.2.1: the certificate of packed, beyond what the library asks', () => {
  const aaguidExtension = (hex: string, critical = false): x509.Extension =>
    new x509.Extension('1.3.6.1.4.1.45724.1.1.4', critical, Buffer.from(hex, 'hex'));
  const own = `0410${AAGUID.replaceAll('-', '')}`;

  it.each<[string, () => Profile]>([
    ['a critical AAGUID', () => ({ extensions: [aaguidExtension(own, true)] })],
    ['another AAGUID', () => ({ extensions: [aaguidExtension(`0410${'11'.repeat(16)}`)] })],
    ['an AAGUID that is not wrapped', () => ({ extensions: [aaguidExtension(own.slice(4))] })],
    ['two AAGUIDs', () => ({ extensions: [aaguidExtension(own), aaguidExtension(own)] })],
    ['a key on another curve than ES256’s', () => ({ key: { name: 'ECDSA', namedCurve: 'P-384' } })],
  ])('is refused with %s', async (_, profile) => {
    await expectRefusal(attested(packedBy(await packedLeaf(profile())), {}), 'attestation-invalid');
  });

  it('may name its model, and need not', async () => {
    for (const extensions of [[aaguidExtension(own)], []]) {
      expect(await attested(packedBy(await packedLeaf({ extensions })), {})).toMatchObject({ trust: 'untrusted' });
    }
  });

  it('is refused for fido-u2f on another curve than P-256 (§8.6)', async () => {
    const p384 = await packedLeaf({ key: { name: 'ECDSA', namedCurve: 'P-384' } });
    await expectRefusal(registration({ interference: { attestation: fidoU2fBy(p384) } }), 'attestation-invalid');
    const es384 = { algorithm: 'ES384' as const, attestation: fidoU2fBy(leaf) };
    await expectRefusal(registration({ model: es384 }), 'attestation-invalid');
  });
});
