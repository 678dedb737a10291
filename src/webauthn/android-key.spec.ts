import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import { id_ce_keyDescription, IntegerSet, SecurityLevel } from '@peculiar/asn1-android';
import * as x509 from '@peculiar/x509';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AndroidDevice,
  HARDWARE,
  type KeyClaims,
  keyDescription,
  SIGN_ONLY,
} from '../../test/support/authenticator/android-key.js';
import { type Attestation, falsified } from '../../test/support/authenticator/attestation.js';
import { issue } from '../../test/support/authenticator/certificate-chain.js';
import { type AlgorithmName, COSE, type CredentialKey, generateKey } from '../../test/support/authenticator/keys.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { expectRefusal, ORIGIN, registration } from '../../test/support/pure-ceremonies.js';
import type { VerifiedRegistration } from './verify-registration.js';

const OTHER_HASH = createHash('sha256').update('other').digest();
const UNGUARDED = 'no trusted environment enforces what the key is for';

let device: AndroidDevice;
let network: ClosedNetwork;
beforeAll(async () => {
  device = await AndroidDevice.create();
  network = new ClosedNetwork();
});
afterEach(() => {
  expect(network.attempts).toEqual([]);
});
afterAll(() => {
  network.open();
});

interface Ceremony {
  key?: CredentialKey;
  /** The key that the device says it attests. */
  attested?: CredentialKey;
  claims?: KeyClaims | x509.Extension[];
  falsify?: (attestation: Attestation) => Attestation;
  by?: AndroidDevice;
  roots?: string[];
}

/** The client data is fixed before the certificate is made, which holds its hash. */
async function ceremony(what: Ceremony = {}): Promise<VerifiedRegistration> {
  const { key = generateKey('ES256'), by = device, falsify = (each: Attestation) => each } = what;
  const challenge = randomBytes(32);
  const clientDataJson = JSON.stringify({
    ...{ type: 'webauthn.create', challenge: challenge.toString('base64url'), origin: ORIGIN },
  });
  const hash = createHash('sha256').update(clientDataJson).digest();
  const attestation = falsify(await by.attest(what.attested ?? key, hash, what.claims));
  return registration({
    interference: { key, clientDataJson, attestation },
    expected: { challenge, roots: () => what.roots ?? [device.root.pem] },
  });
}

const statement = (change: (attStmt: Record<string, unknown>) => Record<string, unknown>): Partial<Ceremony> => ({
  falsify: (attestation) => falsified(attestation, ({ fmt, attStmt }) => ({ fmt, attStmt: change(attStmt) })),
});

describe('WebAuthn L3 §8.4 Android Key attestation', () => {
  it.each(['ES256', 'ES384', 'RS256', 'EdDSA'] as AlgorithmName[])('is trusted for %s', async (algorithm) => {
    const { attestation } = await ceremony({ key: generateKey(algorithm) });
    expect(attestation).toEqual({ format: 'android-key', trust: 'trusted', root: 'CN=Android Root' });
  });

  it('is trusted with the root that was sent along, and in StrongBox', async () => {
    const withRoot = statement((attStmt) => ({
      ...{ ...attStmt, x5c: [...(attStmt['x5c'] as Buffer[]), device.root.certificate.raw] },
    }));
    const { attestation } = await ceremony({ ...withRoot, claims: { level: SecurityLevel.strongBox } });
    expect(attestation).toMatchObject({ trust: 'trusted' });
  });

  it.each<[string, () => Promise<Ceremony>, string]>([
    ['of another maker', async () => ({ by: await AndroidDevice.create() }), 'the signature'],
    ['of another maker, without roots', () => Promise.resolve({ roots: [] }), 'it ends in no known root'],
    ['by an expired batch key', async () => ({ by: await AndroidDevice.create({ notAfter: new Date(Date.now() - 1) }) }), ''],
    ['that software makes', () => Promise.resolve({ claims: { level: SecurityLevel.software } }), UNGUARDED],
    ['that software attests', () => Promise.resolve({ claims: { level: SecurityLevel.software, keymasterLevel: SecurityLevel.trustedEnvironment } }), UNGUARDED],
    ['of a key that software keeps', () => Promise.resolve({ claims: { keymasterLevel: SecurityLevel.software } }), UNGUARDED],
    ['whose lists are empty', () => Promise.resolve({ claims: { hardware: {} } }), UNGUARDED],
    ['that software enforces', () => Promise.resolve({ claims: { hardware: {}, software: HARDWARE } }), UNGUARDED],
    ['whose origin software enforces', () => Promise.resolve({ claims: { hardware: { purpose: SIGN_ONLY }, software: { origin: 0 } } }), UNGUARDED],
    ['whose purpose software enforces', () => Promise.resolve({ claims: { hardware: { origin: 0 }, software: { purpose: SIGN_ONLY } } }), UNGUARDED],
  ])('is untrusted %s', async (_, what, cause) => {
    const { attestation } = await ceremony(await what());
    expect(attestation).toMatchObject({ trust: 'untrusted', cause: expect.stringContaining(cause) });
  }); // prettier-ignore

  const honest = { challenge: OTHER_HASH };
  it.each<[string, () => Ceremony]>([
    ['of another key', () => ({ attested: generateKey('ES256') })],
    ['for another client data', () => ({ claims: { challenge: OTHER_HASH } })],
    ['for a part of it', () => ({ claims: { challenge: Buffer.alloc(0) } })],
    ['for all applications, says the hardware', () => ({ claims: { hardware: { ...HARDWARE, allApplications: null } } })],
    ['for all applications, says the software', () => ({ claims: { software: { allApplications: null } } })],
    ['of an imported key', () => ({ claims: { hardware: { ...HARDWARE, origin: 2 } } })],
    ['of a key that was imported, says the software', () => ({ claims: { software: { origin: 2 } } })],
    ['of a key of unknown origin', () => ({ claims: { hardware: { ...HARDWARE, origin: 3 } } })],
    ['of a key that decrypts', () => ({ claims: { hardware: { ...HARDWARE, purpose: new IntegerSet([1]) } } })],
    ['of a key that signs and decrypts', () => ({ claims: { hardware: { ...HARDWARE, purpose: new IntegerSet([1, 2]) } } })],
    ['of a key that attests others', () => ({ claims: { software: { purpose: new IntegerSet([7]) } } })],
    ['of a key for nothing', () => ({ claims: { hardware: { ...HARDWARE, purpose: new IntegerSet([]) } } })],
    ['without a key description', () => ({ claims: [] })],
    ['with a description of nonsense', () => ({ claims: [new x509.Extension(id_ce_keyDescription, false, Buffer.from('nonsense'))] })],
    ['with a description cut short', () => ({ claims: [new x509.Extension(id_ce_keyDescription, false, new Uint8Array(keyDescription(honest).value).slice(0, 20))] })],
    ['in another algorithm', () => statement((attStmt) => ({ ...attStmt, alg: COSE.RS256 }))],
    ['in one with the same key', () => ({ key: generateKey('RS256'), ...statement((attStmt) => ({ ...attStmt, alg: COSE.PS256 })) })],
    ['without an algorithm', () => statement(({ alg: _, ...attStmt }) => attStmt)],
    ['with another signature', () => statement((attStmt) => ({ ...attStmt, sig: Buffer.alloc(70, 1) }))],
    ['with a byte behind the signature', () => statement((attStmt) => ({ ...attStmt, sig: Buffer.concat([attStmt['sig'] as Buffer, Buffer.alloc(1)]) }))],
    ['with a signature as text', () => statement((attStmt) => ({ ...attStmt, sig: 'text' }))],
    ['without a signature', () => statement(({ sig: _, ...attStmt }) => attStmt)],
    ['without certificates', () => statement(({ x5c: _, ...attStmt }) => attStmt)],
    ['with an empty chain', () => statement((attStmt) => ({ ...attStmt, x5c: [] }))],
    ['with nine certificates', () => statement((attStmt) => ({ ...attStmt, x5c: Array(9).fill((attStmt['x5c'] as Buffer[])[0]) }))],
    ['with the chain turned round', () => statement((attStmt) => ({ ...attStmt, x5c: [...(attStmt['x5c'] as Buffer[])].reverse() }))],
    ['with a byte behind a certificate', () => statement((attStmt) => ({ ...attStmt, x5c: (attStmt['x5c'] as Buffer[]).map((der) => Buffer.concat([der, Buffer.alloc(1)])) }))],
    ['over other authenticator data', () => ({ falsify: (attestation) => (attested) => attestation({ ...attested, authenticatorData: Buffer.alloc(37) }) })],
  ])('is refused %s', (_, what) => expectRefusal(ceremony(what()), 'attestation-invalid')); // prettier-ignore

  it.each<[string, () => Ceremony]>([
    ['the certificate is of another key', () => ({ attested: generateKey('ES256') })],
    ['the attestation challenge is another one', () => ({ claims: { challenge: OTHER_HASH } })],
    ['the key is for all applications', () => ({ claims: { software: { allApplications: null } } })],
    ['the key was not generated where it is', () => ({ claims: { software: { origin: 2 } } })],
    ['the key is for more than signing', () => ({ claims: { software: { purpose: new IntegerSet([7]) } } })],
    ['the certificate describes no key', () => ({ claims: [] })],
    ['the key description cannot be read', () => ({ claims: [new x509.Extension(id_ce_keyDescription, false, Buffer.from('nonsense'))] })],
    ['the signature does not hold', () => statement((attStmt) => ({ ...attStmt, sig: Buffer.alloc(70, 1) }))],
    ['the algorithm is not that of the credential', () => ({ key: generateKey('RS256'), ...statement((attStmt) => ({ ...attStmt, alg: COSE.PS256 })) })],
  ])('tells why it is refused: %s', async (detail, what) => {
    await expect(ceremony(what())).rejects.toMatchObject({ detail, clause: '§7.1 step 22' });
  }); // prettier-ignore

  it('is refused by a key that is attested itself: its description is not for it to give', async () => {
    const attestedAuthority = await AndroidDevice.create({ extensions: [keyDescription({ challenge: OTHER_HASH })] });
    await expect(ceremony({ by: attestedAuthority })).rejects.toMatchObject({
      detail: 'a certificate that signed the key describes a key itself',
    });
  });

  it('is refused for an algorithm that Android does not have', async () => {
    const { certificate } = await issue({ key: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' } }); // prettier-ignore
    const attestation: Attestation = () => ({
      ...{ fmt: 'android-key', attStmt: { alg: COSE.PS256, sig: Buffer.alloc(256), x5c: [certificate.raw] } },
    });
    const ps256 = registration({ interference: { key: generateKey('PS256'), attestation } });
    await expectRefusal(ps256, 'attestation-invalid');
  });
});
