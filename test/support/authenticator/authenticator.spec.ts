import { randomBytes } from 'node:crypto';
import {
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  SettingsService,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Attestation, fidoU2fBy, noAttestation, packedBy, packedSelf } from './attestation.js';
import { type AttestationAuthority, createAttestationAuthority } from './attestation-authority.js';
import { Authenticator } from './authenticator.js';
import type { AssertionInterference, CreationInterference } from './interference.js';
import { type AlgorithmName, COSE, generateKey } from './keys.js';
import type { Passkey } from './model.js';

const RP_ID = 'login.example.com';
const ORIGIN = 'https://login.example.com';
const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const USER_HANDLE = randomBytes(32).toString('base64url');
const ALGORITHMS = Object.keys(COSE) as AlgorithmName[];

const creationOptions = (): PublicKeyCredentialCreationOptionsJSON => ({
  rp: { id: RP_ID, name: 'Example' },
  user: { id: USER_HANDLE, name: 'ada@example.com', displayName: 'Ada' },
  challenge: randomBytes(32).toString('base64url'),
  pubKeyCredParams: Object.values(COSE).map((alg) => ({ type: 'public-key', alg })),
});

const requestOptions = (allow: string[] = []): PublicKeyCredentialRequestOptionsJSON => ({
  rpId: RP_ID,
  challenge: randomBytes(32).toString('base64url'),
  allowCredentials: allow.map((id) => ({ id, type: 'public-key' })),
});

async function register(authenticator: Authenticator, interference: CreationInterference = {}) {
  const options = creationOptions();
  const result = await verifyRegistrationResponse({
    response: authenticator.create(options, ORIGIN, interference),
    expectedChallenge: options.challenge,
    expectedOrigin: ORIGIN,
    expectedRPID: RP_ID,
    supportedAlgorithmIDs: Object.values(COSE),
  });
  return result.registrationInfo;
}

async function authenticate(authenticator: Authenticator, interference: AssertionInterference = {}) {
  const passkey = interference.passkey ?? authenticator.newest;
  const options = requestOptions([passkey.id.toString('base64url')]);
  return verifyAuthenticationResponse({
    response: authenticator.get(options, ORIGIN, interference),
    expectedChallenge: options.challenge,
    expectedOrigin: ORIGIN,
    expectedRPID: RP_ID,
    credential: { id: passkey.id.toString('base64url'), publicKey: new Uint8Array(passkey.key.cose), counter: 0 },
  });
}

describe('the software authenticator', () => {
  describe('keys', () => {
    it.each(ALGORITHMS)('registers and authenticates with %s', async (algorithm) => {
      const authenticator = new Authenticator({ algorithm });
      expect(await register(authenticator)).toMatchObject({
        fmt: 'none',
        userVerified: true,
        credentialBackedUp: true,
      });
      expect(await authenticate(authenticator)).toMatchObject({ verified: true });
    });

    it.each(ALGORITHMS)('attests itself with %s', async (algorithm) => {
      const authenticator = new Authenticator({ algorithm, attestation: packedSelf, aaguid: AAGUID });
      expect(await register(authenticator)).toMatchObject({ fmt: 'packed', aaguid: AAGUID });
    });
  });

  describe('attestation by a maker', () => {
    let authority: AttestationAuthority;
    beforeAll(async () => {
      authority = await createAttestationAuthority();
    });
    afterEach(() => {
      SettingsService.setRootCertificates({ identifier: 'packed', certificates: [] });
    });

    const attestedBy = async (make: (c: Awaited<ReturnType<typeof authority.issue>>) => Attestation, aaguid?: string) =>
      make(await authority.issue(aaguid === undefined ? {} : { aaguid }));

    it('chains a packed attestation to its root', async () => {
      SettingsService.setRootCertificates({ identifier: 'packed', certificates: [authority.rootPem] });
      const attestation = await attestedBy(packedBy, AAGUID);
      const authenticator = new Authenticator({ attestation, aaguid: AAGUID });
      expect(await register(authenticator)).toMatchObject({ fmt: 'packed', aaguid: AAGUID });
    });

    it('does not chain to the root of another maker', async () => {
      const other = await createAttestationAuthority('Another Maker');
      SettingsService.setRootCertificates({ identifier: 'packed', certificates: [other.rootPem] });
      const authenticator = new Authenticator({ attestation: await attestedBy(packedBy) });
      await expect(register(authenticator)).rejects.toThrow('x5c');
    });

    it('carries the AAGUID in its certificate', async () => {
      const attestation = await attestedBy(packedBy, AAGUID);
      await expect(register(new Authenticator({ attestation }))).rejects.toThrow('id-fido-gen-ce-aaguid');
    });

    it('speaks fido-u2f', async () => {
      const authenticator = new Authenticator({ attestation: await attestedBy(fidoU2fBy) });
      expect(await register(authenticator)).toMatchObject({ fmt: 'fido-u2f' });
    });
  });

  describe('behaviour', () => {
    it('answers options without allowed credentials with a discoverable passkey and its user handle', async () => {
      const authenticator = new Authenticator();
      await register(authenticator);
      expect(authenticator.get(requestOptions(), ORIGIN).response.userHandle).toBe(USER_HANDLE);
    });

    it('refuses options that none of its passkeys answers', () => {
      expect(() => new Authenticator().get(requestOptions(), ORIGIN)).toThrow('NotAllowedError');
    });

    it('counts when its model counts', async () => {
      const authenticator = new Authenticator({ counts: true });
      await register(authenticator);
      for (const newCounter of [1, 2, 3]) {
        expect(await authenticate(authenticator)).toMatchObject({ authenticationInfo: { newCounter } });
      }
    });

    it('sends extension outputs where it is told to', async () => {
      const authenticator = new Authenticator();
      const info = await register(authenticator, { extensions: { credProtect: 3 } });
      expect(info?.authenticatorExtensionResults).toEqual({ credProtect: 3 });
    });
  });

  describe('interference that a verifier must notice', () => {
    it.each<[string, CreationInterference]>([
      ['type', { clientData: { type: 'webauthn.get' } }],
      ['challenge', { clientData: { challenge: 'AAAA' } }],
      ['origin', { clientData: { origin: 'https://login.example.com.evil.example' } }],
      ['RP ID', { rpId: 'evil.example' }],
      ['user presence', { flags: { UP: false } }],
      ['user verification', { flags: { UV: false } }],
      ['backup flags', { flags: { BE: false, BS: true } }],
      ['attested credential data', { flags: { AT: false } }],
      ['raw id', { credential: { rawId: 'AAAA' } }],
      ['attestation format', { attestation: () => ({ fmt: 'no-such-format', attStmt: {} }) }],
      ['attestation statement', { attestation: (a) => ({ ...noAttestation(a), attStmt: { sig: Buffer.alloc(1) } }) }],
      ['authenticator data', { authenticatorData: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) }],
      ['client data that is no JSON', { clientDataJson: '{' }],
    ])('registration: %s', async (_, interference) => {
      await expect(register(new Authenticator(), interference)).rejects.toThrow();
    });

    it.each<[string, AssertionInterference]>([
      ['type', { clientData: { type: 'webauthn.create' } }],
      ['challenge', { clientData: { challenge: 'AAAA' } }],
      ['origin', { clientData: { origin: 'http://login.example.com' } }],
      ['RP ID', { rpId: 'evil.example' }],
      ['user verification', { flags: { UV: false } }],
      ['a missing signature', { response: { signature: undefined } }],
    ])('authentication: %s', async (_, interference) => {
      const authenticator = new Authenticator();
      await register(authenticator);
      await expect(authenticate(authenticator, interference)).rejects.toThrow();
    });

    it('authentication: a signature by another key', async () => {
      const authenticator = new Authenticator();
      await register(authenticator, { key: generateKey('ES256') });
      const passkey = { ...authenticator.newest, key: generateKey('ES256') };
      const result = await verifyForged(authenticator, passkey);
      expect(result.verified).toBe(false);
    });

    it('authentication: a signature that was altered', async () => {
      const authenticator = new Authenticator({ algorithm: 'EdDSA' });
      await register(authenticator);
      const signature = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte)));
      expect(await authenticate(authenticator, { signature })).toMatchObject({ verified: false });
    });
  });
});

async function verifyForged(authenticator: Authenticator, forged: Passkey) {
  const original = authenticator.newest;
  const options = requestOptions();
  return verifyAuthenticationResponse({
    response: authenticator.get(options, ORIGIN, { passkey: forged }),
    expectedChallenge: options.challenge,
    expectedOrigin: ORIGIN,
    expectedRPID: RP_ID,
    credential: { id: original.id.toString('base64url'), publicKey: new Uint8Array(original.key.cose), counter: 0 },
  });
}
