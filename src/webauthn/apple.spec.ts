import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { issueAppleCertificate, appleNonce, makeNonce } from '../../test/support/authenticator/apple.js';
import { type Attested, noAttestation } from '../../test/support/authenticator/attestation.js';
import { issue, type Issued, type Profile } from '../../test/support/authenticator/certificate-chain.js';
import { generateKey } from '../../test/support/authenticator/keys.js';
import { expectRefusal, ORIGIN, runRegistration } from '../../test/support/pure-ceremonies.js';
import type { AttestationVerdict } from './attestation-trust.js';

let root: Issued;
beforeAll(async () => {
  root = await issue({ subject: 'CN=Apple Root', ca: true });
});

interface Ceremony {
  algorithm?: 'ES256' | 'ES384';
  profile?: (nonce: Buffer) => Profile;
  /** The key in the certificate. */
  certified?: ReturnType<typeof generateKey>;
  statement?: (x5c: Buffer[]) => Record<string, unknown>;
}

/**
 * The certificate holds a hash of the authenticator data, so the ceremony runs once to learn the data and once more
 * with it.
 */
async function ceremony(what: Ceremony = {}): Promise<AttestationVerdict> {
  const { algorithm = 'ES256', profile = (nonce) => ({ extensions: [appleNonce(nonce)] }), statement } = what;
  const key = generateKey(algorithm);
  const [challenge, credentialId] = [randomBytes(32), randomBytes(20)];
  const clientDataJson = JSON.stringify({
    type: 'webauthn.create',
    challenge: challenge.toString('base64url'),
    origin: ORIGIN,
  });
  const fixed = { key, credentialId, clientDataJson };
  let nonce: Buffer = Buffer.alloc(0);
  const learn = (attested: Attested) => {
    nonce = makeNonce(attested);
    return noAttestation(attested);
  };
  await runRegistration({ interference: { ...fixed, attestation: learn }, expected: { challenge } });
  const x5c = [(await issueAppleCertificate(what.certified ?? key, root, profile(nonce))).certificate.raw];
  const attestation = () => ({ fmt: 'apple', attStmt: statement?.(x5c) ?? { x5c } });
  const expected = { challenge, roots: () => [root.pem] };
  return (await runRegistration({ interference: { ...fixed, attestation }, expected })).attestation;
}

const accepts = async (what: Ceremony): Promise<void> => {
  expect(await ceremony(what)).toEqual({ format: 'apple', trust: 'trusted', root: 'CN=Apple Root' });
};
const refuses = (what: Ceremony): Promise<void> => expectRefusal(ceremony(what), 'attestation-invalid');
const withNonce = (change: (nonce: Buffer) => x509.Extension[]): Ceremony => ({
  profile: (nonce) => ({ extensions: change(nonce) }),
});
const oid = '1.2.840.113635.100.8.2';

describe('WebAuthn L3 §8.8 Apple anonymous attestation', () => {
  describe('x5c: credCert and its chain', () => {
    it.each(['ES256', 'ES384'] as const)('accepts the certificate of a key for %s', (algorithm) =>
      accepts({ algorithm }),
    );
    it('accepts it with its root', () => accepts({ statement: (x5c) => ({ x5c: [...x5c, root.certificate.raw] }) }));
    it('accepts alg and other members beside, which the clause does not define', () =>
      accepts({ statement: (x5c) => ({ x5c, alg: -7 }) }));
    it('accepts one that has ended, as untrusted', async () => {
      const verdict = await ceremony({
        profile: (nonce) => ({ extensions: [appleNonce(nonce)], notAfter: new Date(Date.now() - 1_000) }),
      });
      expect(verdict).toMatchObject({ trust: 'untrusted', distrust: { code: 'not-valid-now' } });
    });

    it('refuses none', () => refuses({ statement: () => ({}) }));
    it('refuses an empty list', () => refuses({ statement: () => ({ x5c: [] }) }));
  });

  describe('the extension 1.2.840.113635.100.8.2: the hash of authenticator data and client data hash', () => {
    it.each<[string, (nonce: Buffer) => x509.Extension[]]>([
      ['none', () => []],
      ['another nonce', () => [appleNonce(Buffer.alloc(32))]],
      ['a nonce cut short', (nonce) => [appleNonce(nonce.subarray(0, 31))]],
      ['a byte behind it', (nonce) => [appleNonce(Buffer.concat([nonce, Buffer.alloc(1)]))]],
      ['it without its wrapping', (nonce) => [new x509.Extension(oid, false, nonce)]],
      ['it behind other bytes', (nonce) => [new x509.Extension(oid, false, Buffer.concat([Buffer.alloc(6), nonce]))]],
    ])('refuses %s', (_, change) => refuses(withNonce(change)));
  });

  describe('the certificate’s key: the credential’s', () => {
    it('refuses another key', () => refuses({ certified: generateKey('ES256') }));
  });
});
