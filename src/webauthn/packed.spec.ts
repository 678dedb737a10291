import 'reflect-metadata';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Attestation, falsified, packedSelf } from '../../test/support/authenticator/attestation.js';
import {
  reissueForKey,
  issue,
  type Issued,
  type KeyAlgorithm,
  type Profile,
} from '../../test/support/authenticator/certificate-chain.js';
import { type AlgorithmName, COSE, generateKey } from '../../test/support/authenticator/keys.js';
import { expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';
import type { AttestationVerdict } from './attestation-trust.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const SUBJECT = 'CN=Model One, OU=Authenticator Attestation, O=Example, C=XX';
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2_048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
};

let root: Issued;
let maker: Issued;
beforeAll(async () => {
  root = await issue({ subject: 'CN=Root', ca: true });
  maker = await issue({ subject: SUBJECT }, root);
});

const attested = (attestation: Attestation): Promise<AttestationVerdict> =>
  runRegistration({ interference: { attestation, aaguid: AAGUID }, expected: { roots: () => [root.pem] } }).then(
    (verified) => verified.attestation,
  );
const accepts = async (attestation: Attestation): Promise<void> => {
  expect(await attested(attestation)).toEqual({ format: 'packed', trust: 'trusted', root: 'CN=Root' });
};
const refuses = (attestation: Attestation): Promise<void> =>
  expectRefusal(attested(attestation), 'attestation-invalid');

type Signing = (data: Buffer, key: KeyObject) => Buffer;
const sha256: Signing = (data, key) => sign('sha256', data, key);

const packed =
  (
    by: Pick<Issued, 'certificate' | 'privateKey'>,
    members: Record<string, unknown> = {},
    signing = sha256,
  ): Attestation =>
  ({ authenticatorData, clientDataHash }) => {
    const sig = signing(Buffer.concat([authenticatorData, clientDataHash]), by.privateKey);
    return { fmt: 'packed', attStmt: { alg: COSE.ES256, sig, x5c: [by.certificate.raw], ...members } };
  };
const own = (members: Record<string, unknown>): Attestation =>
  falsified(packedSelf, ({ fmt, attStmt }) => ({ fmt, attStmt: { ...attStmt, ...members } }));
const leaf = (profile: Profile = {}): Promise<Issued> => issue({ subject: SUBJECT, ...profile }, root);

/** The SubjectPublicKeyInfo of a point on P-256 in its compressed form (SEC 1 §2.3.3). */
function compressed(spki: Buffer): Buffer {
  const [x, y] = [spki.subarray(-64, -32), spki.subarray(-32)];
  const algorithm = spki.subarray(2, 23);
  const point = Buffer.concat([Buffer.of(0x03, 34, 0, 2 | (y[31]! & 1)), x]);
  return Buffer.concat([Buffer.of(0x30, algorithm.length + point.length), algorithm, point]);
}

describe('WebAuthn L3 §8.2 Packed attestation', () => {
  describe('alg: the algorithm of sig, which fits the certificate’s key', () => {
    const hashed =
      (hash: string): Signing =>
      (data, key) =>
        sign(hash, data, key);
    const bare: Signing = (data, key) => sign(null, data, key);
    const pss =
      (hash: string): Signing =>
      (data, key) =>
        sign(hash, data, { key, padding: 6, saltLength: Number(hash.slice(3)) / 8 });
    it.each<[string, number, KeyAlgorithm, Signing]>([
      ['ES256', COSE.ES256, { name: 'ECDSA', namedCurve: 'P-256' }, sha256],
      ['ES384', COSE.ES384, { name: 'ECDSA', namedCurve: 'P-384' }, hashed('sha384')],
      ['ES512', COSE.ES512, { name: 'ECDSA', namedCurve: 'P-521' }, hashed('sha512')],
      ['ESP256', -9, { name: 'ECDSA', namedCurve: 'P-256' }, sha256],
      ['ESP384', -51, { name: 'ECDSA', namedCurve: 'P-384' }, hashed('sha384')],
      ['ESP512', -52, { name: 'ECDSA', namedCurve: 'P-521' }, hashed('sha512')],
      ['EdDSA', COSE.EdDSA, { name: 'Ed25519' }, bare],
      ['Ed25519', -19, { name: 'Ed25519' }, bare],
      ['RS256', COSE.RS256, RSA, sha256],
      ['RS384', -258, RSA, hashed('sha384')],
      ['RS512', -259, RSA, hashed('sha512')],
      ['PS256', COSE.PS256, RSA, pss('sha256')],
      ['PS384', -38, RSA, pss('sha384')],
      ['PS512', -39, RSA, pss('sha512')],
    ])('accepts %s', async (_, alg, key, signing) => accepts(packed(await leaf({ key }), { alg }, signing)));

    const spkiOf = (publicKey: KeyObject): Buffer => publicKey.export({ type: 'spki', format: 'der' });
    it.each<[string, number, () => { publicKey: KeyObject; privateKey: KeyObject }, Signing, (spki: Buffer) => Buffer]>(
      [
        ['ML-DSA-44', -48, () => generateKeyPairSync('ml-dsa-44'), bare, (spki) => spki],
        ['ML-DSA-87', -50, () => generateKeyPairSync('ml-dsa-87'), bare, (spki) => spki],
        [
          'PS256 by a key for RSASSA-PSS alone',
          COSE.PS256,
          () => generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }),
          pss('sha256'),
          (spki) => spki,
        ],
        [
          'ES256 by a compressed point',
          COSE.ES256,
          () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
          sha256,
          compressed,
        ],
      ],
    )('accepts %s', async (_, alg, generate, signing, change) => {
      const { publicKey, privateKey } = generate();
      await accepts(packed(reissueForKey(maker, root, privateKey, change(spkiOf(publicKey))), { alg }, signing));
    });

    it.each<[string, () => Promise<Attestation>]>([
      ['none', () => Promise.resolve(packed(maker, { alg: undefined }))],
      ['an unregistered one', () => Promise.resolve(packed(maker, { alg: 7 }))],
      ['one of another kind of key', () => Promise.resolve(packed(maker, { alg: COSE.RS256 }))],
      ['one of another curve', async () => packed(await leaf({ key: { name: 'ECDSA', namedCurve: 'P-384' } }))],
      ['one with another hash', async () => packed(await leaf({ key: RSA }), { alg: -258 })],
    ])('refuses %s', async (_, attestation) => refuses(await attestation()));

    it('is stricter than the clause for the relying party: SHA-1 (RS1) is refused, because nothing but TPMs needs it', async () =>
      refuses(packed(await leaf({ key: RSA }), { alg: -65_535 }, hashed('sha1'))));
  });

  describe('sig: over authenticator data and client data hash', () => {
    it.each<[string, unknown]>([
      ['another one', Buffer.alloc(70, 1)],
      ['nothing', Buffer.alloc(0)],
      ['none', undefined],
      ['text', 'text'],
    ])('refuses %s', (_, sig) => refuses(packed(maker, { sig })));
  });

  describe('x5c: attestnCert and its chain, X.509 in DER', () => {
    it('accepts up to eight certificates, with or without the root', async () => {
      await accepts(packed(maker, { x5c: [maker.certificate.raw, root.certificate.raw] }));
    });
    it('accepts a certificate that has ended, or is not valid yet, as untrusted', async () => {
      for (const dates of [{ notAfter: new Date(Date.now() - 1_000) }, { notBefore: new Date(Date.now() + 60_000) }]) {
        const verdict = await attested(packed(await leaf(dates)));
        expect(verdict).toMatchObject({ trust: 'untrusted', distrust: { code: 'not-valid-now' } });
      }
    });
    it('accepts a chain that ends in no known root, as untrusted', async () => {
      const stranger = await issue({ subject: SUBJECT }, await issue({ subject: 'CN=New Root', ca: true }));
      expect(await attested(packed(stranger))).toEqual({
        format: 'packed',
        trust: 'untrusted',
        distrust: { code: 'root-unknown', detail: expect.stringContaining('is issued by "CN=New Root"') },
      });
    });

    it.each<[string, () => unknown]>([
      ['a certificate outside of a list', () => maker.certificate.raw],
      ['an empty list', () => []],
      ['null', () => null],
      ['text', () => ['text']],
      ['bytes that are not a certificate', () => [Buffer.alloc(70, 1)]],
      ['PEM', () => [Buffer.from(maker.pem)]],
      ['a byte behind a certificate', () => [Buffer.concat([maker.certificate.raw, Buffer.alloc(1)])]],
    ])('refuses %s', (_, x5c) => refuses(packed(maker, { x5c: x5c() })));

    it('is stricter than the clause for the service: more than eight certificates are work for nothing', () =>
      refuses(packed(maker, { x5c: Array(9).fill(maker.certificate.raw) })));
  });

  describe('§8.2.1 subject: C, O, CN, and the OU "Authenticator Attestation"', () => {
    it.each([
      ['in another order', 'C=XX, O=Example, OU=Authenticator Attestation, CN=Model'],
      ['in one set', 'C=XX+O=Example+OU=Authenticator Attestation+CN=Model'],
      ['with another OU beside', 'CN=Model, OU=Hardware, OU=Authenticator Attestation, O=Example, C=XX'],
      ['with further attributes', 'CN=Model, OU=Authenticator Attestation, O=Example, L=Town, C=XX'],
    ])('accepts them %s', async (_, subject) => accepts(packed(await leaf({ subject }))));

    it.each([
      ['another OU', 'CN=Model, OU=Sales, O=Example, C=XX'],
      ['the OU in other letters', 'CN=Model, OU=authenticator attestation, O=Example, C=XX'],
      ['no OU', 'CN=Model, O=Example, C=XX'],
      ['no O', 'CN=Model, OU=Authenticator Attestation, C=XX'],
      ['no CN', 'OU=Authenticator Attestation, O=Example, C=XX'],
      ['no C', 'CN=Model, OU=Authenticator Attestation, O=Example'],
      ['a country of three letters', 'CN=Model, OU=Authenticator Attestation, O=Example, C=XXX'],
      ['no subject', ''],
    ])('refuses %s', async (_, subject) => refuses(packed(await leaf({ subject }))));
  });

  describe('§8.2.1 Basic Constraints: cA is false', () => {
    it('refuses an authority', async () => refuses(packed(await leaf({ ca: true }))));
  });

  describe('§8.2.1 id-fido-gen-ce-aaguid: where the certificate has it, the AAGUID, not critical', () => {
    const aaguid = (hex: string, critical = false): x509.Extension =>
      new x509.Extension('1.3.6.1.4.1.45724.1.1.4', critical, Buffer.from(hex, 'hex'));
    const model = `0410${AAGUID.replaceAll('-', '')}`;

    it('accepts it, and a certificate without it', async () => {
      await accepts(packed(await leaf({ extensions: [aaguid(model)] })));
      await accepts(packed(maker));
    });
    it.each<[string, x509.Extension[]]>([
      ['a critical one', [aaguid(model, true)]],
      ['that of another model', [aaguid(`0410${'11'.repeat(16)}`)]],
      ['one that is not wrapped in an OCTET STRING', [aaguid(model.slice(4))]],
      ['two', [aaguid(model), aaguid(model)]],
    ])('refuses %s', async (_, extensions) => refuses(packed(await leaf({ extensions }))));
  });

  it('the detail names the model that a certificate is for', async () => {
    const named = (hex: string) => [new x509.Extension('1.3.6.1.4.1.45724.1.1.4', false, Buffer.from(hex, 'hex'))];
    const refusal = async (hex: string) => attested(packed(await leaf({ extensions: named(hex) })));
    await expect(refusal(`0410${'11'.repeat(16)}`)).rejects.toMatchObject({
      detail: `the attestation certificate is for the model 11111111-1111-1111-1111-111111111111, but the authenticator says that it is ${AAGUID}`,
    });
    await expect(refusal('0500')).rejects.toMatchObject({
      detail: expect.stringContaining('a model that cannot be read'),
    });
  });

  describe('self attestation: alg is the credential’s, and sig is by its key', () => {
    it.each(Object.keys(COSE) as AlgorithmName[])('accepts %s', async (algorithm) => {
      const { attestation } = await runRegistration({
        interference: { attestation: packedSelf, key: generateKey(algorithm) },
      });
      expect(attestation).toEqual({ format: 'packed', trust: 'self' });
    });
    it.each<[string, Record<string, unknown>]>([
      ['another algorithm', { alg: COSE.RS256 }],
      ['another algorithm with the same hash', { alg: COSE.PS256 }],
      ['the same algorithm by its other number', { alg: -9 }],
      ['no algorithm', { alg: undefined }],
      ['another signature', { sig: Buffer.alloc(70, 1) }],
      ['no signature', { sig: null }],
    ])('refuses %s', (_, members) => refuses(own(members)));
  });

  describe('other members: not defined by the clause', () => {
    it('accepts them unread, ecdaaKeyId of Level 1 too', () =>
      accepts(packed(maker, { ecdaaKeyId: Buffer.alloc(8), future: 1 })));
  });
});
