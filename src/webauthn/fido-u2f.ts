import { describeAlgorithm } from './cose.js';
import type { Attestation, Distrust } from './attestation.js';
import { demandSignature, describeKey, findAttestationAlgorithm } from './signature.js';
import { refuseUnless } from './refusal.js';

const ES256 = -7;
const NO_AAGUID = '00000000-0000-0000-0000-000000000000';

/**
 * Verifies FIDO U2F attestation, WebAuthn L3 §8.6. U2F signs no AAGUID, so an attestation that names a model is not
 * trusted.
 *
 * @throws Refusal attestation-invalid
 */
export function verifyFidoU2f({
  statement,
  certificates,
  credential,
  algorithm,
  ...about
}: Attestation): Distrust | undefined {
  const count = `fido-u2f has exactly one certificate, not ${String(certificates.length)}`;
  refuseUnless(certificates.length === 1, 'attestation-invalid', count);
  const { publicKey } = certificates[0]!;
  const onP256 = publicKey.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  refuseUnless(
    onP256,
    'attestation-invalid',
    `the key of a fido-u2f certificate is on P-256; this is ${describeKey(publicKey)}`,
  );
  refuseUnless(
    algorithm === ES256,
    'attestation-invalid',
    `fido-u2f is for keys of ES256 (-7), not of ${describeAlgorithm(algorithm)}`,
  );
  const { credentialId, aaguid, key } = credential;
  // ES256 keys are on P-256, so both coordinates have 32 bytes.
  const point = [Buffer.from([0x04]), key.get(-2) as Uint8Array, key.get(-3) as Uint8Array];
  const signed = Buffer.concat([Buffer.from([0x00]), about.rpIdHash, about.clientDataHash, credentialId, ...point]);
  demandSignature(findAttestationAlgorithm(ES256, publicKey), publicKey, signed, statement.get('sig'));
  if (aaguid === NO_AAGUID) return undefined;
  return {
    code: 'aaguid-unsigned',
    detail: `it names the model ${aaguid}, which fido-u2f does not sign: the AAGUID must be zero`,
  };
}
