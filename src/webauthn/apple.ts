import { hash } from 'node:crypto';
import { type Attestation, attestedBytes } from './attestation.js';
import { bytesOfExtension, findExtension, readCertificate } from './attestation-certificate.js';
import { publicKeyOf } from './public-key.js';
import { step } from './refusal.js';

const APPLE_NONCE = '1.2.840.113635.100.8.2';
/** The DER header before the nonce: SEQUENCE { [1] EXPLICIT OCTET STRING of 32 bytes }. */
const BEFORE_NONCE = '3024a1220420';

/** Verifies Apple anonymous attestation, WebAuthn L3 §8.8. @throws Refusal attestation-invalid */
export function verifyApple(attestation: Attestation): void {
  const leaf = attestation.certificates[0]!;
  const extension = findExtension(readCertificate(leaf).extensions, APPLE_NONCE);
  step(extension !== undefined, 'attestation-invalid', `the certificate has no nonce (extension ${APPLE_NONCE})`);
  const nonce = hash('sha256', attestedBytes(attestation), 'hex');
  const same = bytesOfExtension(extension).toString('hex') === `${BEFORE_NONCE}${nonce}`;
  step(same, 'attestation-invalid', 'the nonce is not the hash of this authenticator data and client data');
  const own = leaf.publicKey.equals(publicKeyOf(attestation.credential.key));
  step(own, 'attestation-invalid', 'the certificate’s key is not the key of the credential');
}
