import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Attestation, falsified, fidoU2fBy } from '../../test/support/authenticator/attestation.js';
import { issue, type Issued, type Profile } from '../../test/support/authenticator/certificate-chain.js';
import { generateKey } from '../../test/support/authenticator/keys.js';
import { expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';
import type { AttestationVerdict } from './attestation-trust.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';

let root: Issued;
let maker: Issued;
beforeAll(async () => {
  root = await issue({ subject: 'CN=Root', ca: true });
  maker = await issue({ subject: 'CN=U2F' }, root);
});

const by = ({ certificate, privateKey }: Issued, members: Record<string, unknown> = {}): Attestation =>
  falsified(fidoU2fBy({ chain: [certificate.raw], privateKey }), ({ fmt, attStmt }) => ({
    fmt,
    attStmt: { ...attStmt, ...members },
  }));

const attested = (attestation: Attestation, interference: object = {}): Promise<AttestationVerdict> =>
  runRegistration({ interference: { attestation, ...interference }, expected: { roots: () => [root.pem] } }).then(
    (verified) => verified.attestation,
  );
const refuses = (attestation: Attestation, interference: object = {}): Promise<void> =>
  expectRefusal(attested(attestation, interference), 'attestation-invalid');
const leaf = (profile: Profile): Promise<Issued> => issue({ subject: 'CN=U2F', ...profile }, root);

describe('WebAuthn L3 §8.6 FIDO U2F attestation', () => {
  describe('x5c: exactly one certificate, with a key on P-256', () => {
    it('accepts it', async () => {
      expect(await attested(by(maker))).toEqual({ format: 'fido-u2f', trust: 'trusted', root: 'CN=Root' });
    });
    it('accepts any subject and extensions, which the clause does not name', async () => {
      expect(await attested(by(await leaf({ subject: 'O=Anybody' })))).toMatchObject({ trust: 'trusted' });
    });
    it('accepts one that has ended, as untrusted', async () => {
      const verdict = await attested(by(await leaf({ notAfter: new Date(Date.now() - 1_000) })));
      expect(verdict).toMatchObject({ trust: 'untrusted', distrust: { code: 'not-valid-now' } });
    });

    it('refuses a key on P-384', async () => refuses(by(await leaf({ key: { name: 'ECDSA', namedCurve: 'P-384' } }))));
    it.each<[string, () => unknown]>([
      ['two certificates', () => [maker.certificate.raw, maker.certificate.raw]],
      ['none', () => undefined],
      ['an empty list', () => []],
      ['bytes that are not a certificate', () => [Buffer.alloc(70, 1)]],
    ])('refuses %s', (_, x5c) => refuses(by(maker, { x5c: x5c() })));
  });

  describe('sig: over 0x00, RP ID hash, client data hash, credential id and public key', () => {
    it.each<[string, unknown]>([
      ['another one', Buffer.alloc(70, 1)],
      ['nothing', Buffer.alloc(0)],
      ['none', undefined],
      ['text', 'text'],
    ])('refuses %s', (_, sig) => refuses(by(maker, { sig })));

    it.each<[string, object]>([
      ['another credential id', { credentialId: Buffer.alloc(16, 7) }],
      ['another client data', { clientDataHash: Buffer.alloc(32) }],
      ['another RP', { rpId: 'evil.example' }],
      ['another key', { key: generateKey('ES256') }],
    ])('refuses one over %s', (_, other) => refuses((attested) => by(maker)({ ...attested, ...other })));
  });

  describe('the credential public key: ES256', () => {
    it('refuses a key for ES384', () => refuses(by(maker), { key: generateKey('ES384') }));
  });

  describe('the flags and the sign count: not named by the clause, and not signed', () => {
    it.each<[string, object]>([
      ['the flag UP alone and a count of 0, as U2F has them', { flags: { UV: false, BE: false, BS: false } }],
      ['other flags, as the client wrote them', { flags: { UV: true, BE: true, BS: true } }],
      ['another count', { signCount: 7 }],
    ])('accepts %s', async (_, claims) => {
      const verified = runRegistration({
        interference: { attestation: by(maker), ...claims },
        expected: { roots: () => [root.pem], requireUserVerification: false },
      });
      expect(await verified).toMatchObject({ attestation: { trust: 'trusted' } });
    });
  });

  describe('the AAGUID: not named by the clause, and not signed', () => {
    it('accepts zeros', async () => {
      expect(await attested(by(maker))).toMatchObject({ trust: 'trusted' });
    });
    it('accepts another one, as untrusted', async () => {
      const verdict = await attested(by(maker), { aaguid: AAGUID });
      const detail = `it names the model ${AAGUID}, which fido-u2f does not sign: the AAGUID must be zero`;
      expect(verdict).toEqual({
        format: 'fido-u2f',
        trust: 'untrusted',
        distrust: { code: 'aaguid-unsigned', detail },
      });
    });
    it('is stricter than the clause for the relying party: a model that nobody signed for is not trusted', async () => {
      expect(await attested(by(maker), { aaguid: AAGUID })).toMatchObject({ trust: 'untrusted' });
    });
  });
});
