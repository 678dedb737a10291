import 'reflect-metadata';
import { createPublicKey, KeyObject, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type Attestation,
  falsified,
  fidoU2fBy,
  noAttestation,
  packedBy,
  packedSelf,
} from '../../test/support/authenticator/attestation.js';
import {
  type AttestationAuthority,
  type AttestationCertificate,
  createAttestationAuthority,
} from '../../test/support/authenticator/attestation-authority.js';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { expectRefusal, ORIGIN, registration, RP_ID } from '../../test/support/pure-ceremonies.js';
import { ATTESTATION_FORMATS } from './attestation-formats.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

let authority: AttestationAuthority;
let maker: AttestationCertificate;
let network: ClosedNetwork;

beforeAll(async () => {
  authority = await createAttestationAuthority();
  maker = await authority.issue({ aaguid: AAGUID });
  network = new ClosedNetwork();
});
beforeEach(() => {
  network.attempts.length = 0;
});
afterAll(() => {
  network.open();
});

const attested = (attestation: Attestation, aaguid = AAGUID) => registration({ interference: { attestation, aaguid } });

const withStatement = (attestation: Attestation, members: Record<string, unknown>): Attestation =>
  falsified(attestation, ({ fmt, attStmt }) => ({ fmt, attStmt: { ...attStmt, ...members } }));

const without = (attestation: Attestation, member: string): Attestation =>
  falsified(attestation, ({ fmt, attStmt }) => {
    const { [member]: _, ...rest } = attStmt;
    return { fmt, attStmt: rest };
  });

describe('WebAuthn L3 §7.1 step 21: the attestation statement format', () => {
  it('is one of six', () => {
    expect(ATTESTATION_FORMATS).toEqual(['none', 'packed', 'fido-u2f', 'tpm', 'apple', 'android-key']);
  });

  it.each(['android-safetynet', 'compound', 'None', 'PACKED', 'packed ', '', 'x'.repeat(1_000)])(
    'rejects "%s" before its statement is looked at',
    (fmt) =>
      expectRefusal(
        attested(() => ({ fmt, attStmt: { sig: 1, alg: 1, x5c: 1 } })),
        'attestation-format-denied',
      ),
  );

  it('is held against the policy', async () => {
    const interference = { attestation: packedSelf };
    await expectRefusal(
      registration({ interference, expected: { formats: ['none', 'apple'] } }),
      'attestation-format-denied',
    );
    await expectRefusal(registration({ expected: { formats: ['packed'] } }), 'attestation-format-denied');
  });
});

describe('WebAuthn L3 §7.1 steps 22 to 24: the statement, and how far it is trusted', () => {
  it('none is trusted as none', async () => {
    expect(await attested(noAttestation)).toMatchObject({ attestation: { format: 'none', trust: 'none' } });
  });

  it('self attestation is trusted as self', async () => {
    expect(await attested(packedSelf)).toMatchObject({ attestation: { format: 'packed', trust: 'self' } });
  });

  it('a chain of certificates without a root is untrusted, whoever made it', async () => {
    expect(await attested(packedBy(maker))).toMatchObject({ attestation: { format: 'packed', trust: 'untrusted' } });
    const u2f = await registration({ interference: { attestation: fidoU2fBy(maker) } });
    expect(u2f).toMatchObject({ attestation: { format: 'fido-u2f', trust: 'untrusted' } });
  });

  const foreign = Buffer.alloc(70, 1);
  it.each<[string, () => Attestation]>([
    ['none with a statement', () => withStatement(noAttestation, { sig: foreign })],
    ['self attestation in another algorithm than the key', () => withStatement(packedSelf, { alg: -257 })],
    ['self attestation in an algorithm with the same hash', () => withStatement(packedSelf, { alg: -37 })],
    ['self attestation without an algorithm', () => without(packedSelf, 'alg')],
    ['self attestation with another signature', () => withStatement(packedSelf, { sig: foreign })],
    ['self attestation without a signature', () => withStatement(packedSelf, { sig: null })],
    ['a chain that is no list', () => withStatement(packedBy(maker), { x5c: maker.chain[0] })],
    ['an empty chain', () => withStatement(packedBy(maker), { x5c: [] })],
    ['a chain of what is no certificate', () => withStatement(packedBy(maker), { x5c: [foreign] })],
    ['a chain of text', () => withStatement(packedBy(maker), { x5c: ['text'] })],
    ['a null chain', () => withStatement(packedBy(maker), { x5c: null })],
    ['another signature than the certificate’s', () => withStatement(packedBy(maker), { sig: foreign })],
    ['an algorithm that is not the certificate’s', () => withStatement(packedBy(maker), { alg: -257 })],
    ['another one that is not the certificate’s', () => withStatement(packedBy(maker), { alg: -37 })],
    ['an algorithm that does not exist', () => withStatement(packedBy(maker), { alg: 7 })],
    ['fido-u2f with two certificates', () => withStatement(fidoU2fBy(maker), { x5c: [...maker.chain, ...maker.chain] })],
    ['packed without an algorithm', () => without(packedBy(maker), 'alg')],
    ['fido-u2f without a certificate', () => without(fidoU2fBy(maker), 'x5c')],
    ['fido-u2f with an AAGUID', () => fidoU2fBy(maker)],
    ['apple without a certificate', () => () => ({ fmt: 'apple', attStmt: {} })],
    ['apple with a certificate that has no nonce', () => () => ({ fmt: 'apple', attStmt: { x5c: [...maker.chain] } })],
    ['tpm without a statement', () => () => ({ fmt: 'tpm', attStmt: {} })],
    ['tpm with a statement of nonsense', () => () => ({ fmt: 'tpm', attStmt: { ver: '2.0', alg: -257, x5c: [...maker.chain], sig: foreign, certInfo: foreign, pubArea: foreign } })],
  ])('rejects %s', (_, attestation) => expectRefusal(attested(attestation()), 'attestation-invalid')); // prettier-ignore

  it.each<[string, Parameters<AttestationAuthority['issue']>[0]]>([
    ['of another model', { aaguid: 'fa2b99dc-9e39-4257-8f92-4a30d23c4118' }],
    ['of an authority', { aaguid: AAGUID, ca: true }],
    ['that has expired', { aaguid: AAGUID, notAfter: new Date(Date.now() - 1_000) }],
    ['that is not valid yet', { aaguid: AAGUID, notBefore: new Date(Date.now() + 60_000) }],
    ['of another unit', { aaguid: AAGUID, subject: 'CN=Model One, OU=Sales, O=Example, C=XX' }],
    ['without an organization', { aaguid: AAGUID, subject: 'CN=Model One, OU=Authenticator Attestation, C=XX' }],
  ])('rejects packed by a certificate %s (§8.2.1)', async (_, profile) =>
    expectRefusal(attested(packedBy(await authority.issue(profile))), 'attestation-invalid'),
  );
});

describe('the network', () => {
  /** A chain whose leaf names a revocation list on a host of the attacker’s choice. */
  async function chainWithRevocationList(): Promise<{ leaf: AttestationCertificate; rootPem: string }> {
    const [rootKeys, leafKeys] = [await newKeys(), await newKeys()];
    const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) };
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...{ name: 'CN=Attacker', keys: rootKeys, signingAlgorithm: ES256, ...validity },
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    const leaf = await x509.X509CertificateGenerator.create({
      ...{ subject: 'CN=Model, OU=Authenticator Attestation, O=Attacker, C=XX', issuer: root.subject, ...validity },
      ...{ publicKey: leafKeys.publicKey, signingKey: rootKeys.privateKey, signingAlgorithm: ES256 },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.CRLDistributionPointsExtension(['http://169.254.169.254/latest/meta-data']),
      ],
    });
    const chain = [Buffer.from(leaf.rawData), Buffer.from(root.rawData)];
    return { leaf: { chain, privateKey: KeyObject.from(leafKeys.privateKey) }, rootPem: root.toString('pem') };
  }
  const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);

  it.each(['android-key', 'android-safetynet', 'apple', 'tpm', 'packed', 'fido-u2f'])(
    'is never used to verify %s, whatever revocation list its chain names',
    async (fmt) => {
      const { leaf } = await chainWithRevocationList();
      const attestation: Attestation = ({ authenticatorData, clientDataHash }) => {
        const sig = sign('sha256', Buffer.concat([authenticatorData, clientDataHash]), leaf.privateKey);
        return { fmt, attStmt: { alg: -7, sig, x5c: [...leaf.chain], ver: '2.0' } };
      };
      await registration({ interference: { attestation } }).catch(() => undefined);
      expect(network.attempts).toEqual([]);
      expect(createPublicKey(leaf.privateKey).asymmetricKeyType).toBe('ec');
    },
  );

  it('would be used by the library, once it has a root: that is why it has none', async () => {
    const { leaf, rootPem } = await chainWithRevocationList();
    const options = {
      ...{ rp: { id: RP_ID, name: '' }, user: { id: 'AAAA', name: '', displayName: '' }, challenge: 'AAAA' },
      pubKeyCredParams: [],
    };
    const response = new Authenticator({ attestation: packedBy({ ...leaf, chain: leaf.chain.slice(0, 1) }) }).create(
      options,
      ORIGIN,
    );
    SettingsService.setRootCertificates({ identifier: 'packed', certificates: [rootPem] });
    try {
      await verifyRegistrationResponse({
        ...{ response, expectedChallenge: 'AAAA', expectedOrigin: ORIGIN, expectedRPID: RP_ID },
      });
    } finally {
      SettingsService.setRootCertificates({ identifier: 'packed', certificates: [] });
    }
    expect(network.attempts).toEqual(['169.254.169.254:80']);
  });

  it.each(['apple', 'android-key', 'android-safetynet', 'packed', 'tpm', 'fido-u2f'] as const)(
    'is not reached through roots of %s: there are none',
    (identifier) => {
      expect(SettingsService.getRootCertificates({ identifier })).toEqual([]);
    },
  );
});
