import 'reflect-metadata';
import { createPublicKey, KeyObject, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Attestation, packedSelf } from '../../test/support/authenticator/attestation.js';
import type { AttestationCertificate } from '../../test/support/authenticator/attestation-authority.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';
import { ATTESTATION_FORMATS } from './attestation-statement.js';

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

let network: ClosedNetwork;
beforeAll(() => {
  network = new ClosedNetwork();
});
beforeEach(() => {
  network.attempts.length = 0;
});
afterAll(() => {
  network.open();
});

const attested = (attestation: Attestation) => runRegistration({ interference: { attestation } });

describe('WebAuthn L3 §7.1 step 21: the attestation statement format', () => {
  it('is one of six', () => {
    expect(ATTESTATION_FORMATS).toEqual(['none', 'packed', 'fido-u2f', 'tpm', 'apple', 'android-key']);
  });

  it.each(['android-safetynet', 'compound', 'None', 'PACKED', 'packed ', '', 'x'.repeat(1_000)])(
    'rejects "%s" before its statement is read',
    (fmt) =>
      expectRefusal(
        attested(() => ({ fmt, attStmt: { sig: 1, alg: 1, x5c: 1 } })),
        'attestation-format-denied',
      ),
  );

  it('is compared with the policy', async () => {
    const interference = { attestation: packedSelf };
    await expectRefusal(
      runRegistration({ interference, expected: { formats: ['none', 'apple'] } }),
      'attestation-format-denied',
    );
    await expectRefusal(runRegistration({ expected: { formats: ['packed'] } }), 'attestation-format-denied');
  });
});

describe('the network', () => {
  /** A chain whose leaf names a revocation list on a host of the attacker’s choice. */
  async function certificateWithRevocationList(): Promise<AttestationCertificate> {
    const [rootKeys, leafKeys] = [await newKeys(), await newKeys()];
    const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) };
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=Attacker',
      keys: rootKeys,
      signingAlgorithm: ES256,
      ...validity,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    const leaf = await x509.X509CertificateGenerator.create({
      subject: 'CN=Model, OU=Authenticator Attestation, O=Attacker, C=XX',
      issuer: root.subject,
      ...validity,
      publicKey: leafKeys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm: ES256,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.CRLDistributionPointsExtension(['http://169.254.169.254/latest/meta-data']),
      ],
    });
    const chain = [Buffer.from(leaf.rawData), Buffer.from(root.rawData)];
    return { chain, privateKey: KeyObject.from(leafKeys.privateKey) };
  }
  const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);

  it.each(['android-key', 'android-safetynet', 'apple', 'tpm', 'packed', 'fido-u2f'])(
    'is never used to verify %s, whatever revocation list its chain names',
    async (fmt) => {
      const leaf = await certificateWithRevocationList();
      const attestation: Attestation = ({ authenticatorData, clientDataHash }) => {
        const sig = sign('sha256', Buffer.concat([authenticatorData, clientDataHash]), leaf.privateKey);
        return { fmt, attStmt: { alg: -7, sig, x5c: [...leaf.chain], ver: '2.0' } };
      };
      await runRegistration({ interference: { attestation } }).catch(() => undefined);
      expect(network.attempts).toEqual([]);
      expect(createPublicKey(leaf.privateKey).asymmetricKeyType).toBe('ec');
    },
  );
});
