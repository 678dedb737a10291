import { hash } from 'node:crypto';
import {
  type Attestation,
  findExtension,
  getAttestedBytes,
  getExtensionBytes,
  readCertificate,
} from './attestation.js';
import { importPublicKey } from './cose.js';
import { refuseUnless } from './refusal.js';

const APPLE_NONCE = '1.2.840.113635.100.8.2';
/** The DER header before the nonce: SEQUENCE { [1] EXPLICIT OCTET STRING of 32 bytes }. */
const BEFORE_NONCE = '3024a1220420';

/** Verifies Apple anonymous attestation, WebAuthn L3 §8.8. @throws Refusal attestation-invalid */
export function verifyApple(attestation: Attestation): void {
  const leaf = attestation.certificates[0]!;
  const extension = findExtension(readCertificate(leaf).extensions, APPLE_NONCE);
  refuseUnless(
    extension !== undefined,
    'attestation-invalid',
    `the certificate has no nonce (extension ${APPLE_NONCE})`,
  );
  const nonce = hash('sha256', getAttestedBytes(attestation), 'hex');
  const same = getExtensionBytes(extension).toString('hex') === `${BEFORE_NONCE}${nonce}`;
  refuseUnless(same, 'attestation-invalid', 'the nonce is not the hash of this authenticator data and client data');
  const own = leaf.publicKey.equals(importPublicKey(attestation.credential.key));
  refuseUnless(own, 'attestation-invalid', 'the certificate’s key is not the key of the credential');
}
