import type { X509Certificate } from 'node:crypto';
import {
  type Attestation,
  type Distrust,
  findExtension,
  getAttestedBytes,
  getExtensionBytes,
  readCertificate,
} from './attestation.js';
import { describeAlgorithm, importPublicKey } from './cose.js';
import { demandSignature, findAttestationAlgorithm } from './signature.js';
import { ID_KEY_DESCRIPTION, type KeyDescription, readKeyDescription } from './key-description.js';
import { Refusal, refuseUnless } from './refusal.js';

/** KM_ORIGIN_GENERATED and KM_PURPOSE_SIGN of Android's Keymaster. */
const GENERATED = 0;
const SIGN = 2;
/** TrustedEnvironment and StrongBox. A level that Android adds later may not be hardware. */
const HARDWARE_LEVELS: readonly number[] = [1, 2];

/**
 * Verifies Android Key attestation, WebAuthn L3 §8.4. Only the leaf may have a key description: an attested key could
 * sign a certificate below its own with any description.
 *
 * A key is judged by the union of both authorization lists. As in the specification's own test vector, a field may be
 * absent from both lists. But the key is trusted only if the trusted environment enforces its origin and purpose.
 *
 * @returns a reason not to trust the key, even if its chain leads to a known root
 * @throws Refusal attestation-invalid
 */
export function verifyAndroidKey(attestation: Attestation): Distrust | undefined {
  const { statement, certificates, algorithm, credential } = attestation;
  const leaf = certificates[0]!;
  const alg = statement.get('alg');
  const other = `the statement is signed with ${describeAlgorithm(alg)}, not with the key’s ${describeAlgorithm(algorithm)}`;
  refuseUnless(alg === algorithm, 'attestation-invalid', other);
  const own = leaf.publicKey.equals(importPublicKey(credential.key));
  refuseUnless(own, 'attestation-invalid', 'the certificate’s key is not the key of the credential');
  const signature = findAttestationAlgorithm(alg, leaf.publicKey);
  demandSignature(signature, leaf.publicKey, getAttestedBytes(attestation), statement.get('sig'));
  const [description, ...others] = certificates.map(findKeyDescription);
  refuseUnless(description !== undefined, 'attestation-invalid', 'the certificate lacks Android’s key description');
  const alone = others.every((other) => other === undefined);
  refuseUnless(alone, 'attestation-invalid', 'a certificate that signed the key describes a key itself');
  const ours = description.attestationChallenge.equals(attestation.clientDataHash);
  refuseUnless(ours, 'attestation-invalid', 'the attestation challenge is not the hash of the client data');
  demandAuthorizations(description);
  if (isHardwareEnforced(description)) return undefined;
  return {
    code: 'unguarded',
    detail:
      'Android keeps the key in software, or does not say that its trusted environment enforces the origin and the purpose of the key',
  };
}

function findKeyDescription(certificate: X509Certificate): KeyDescription | undefined {
  const extension = findExtension(readCertificate(certificate).extensions, ID_KEY_DESCRIPTION);
  try {
    return extension && readKeyDescription(getExtensionBytes(extension));
  } catch (error) {
    const cause = error instanceof Error ? error.message.slice(0, 100) : '';
    throw new Refusal('attestation-invalid', `the key description cannot be read: ${cause}`);
  }
}

function demandAuthorizations({ softwareEnforced, hardwareEnforced }: KeyDescription): void {
  const union = [softwareEnforced, hardwareEnforced];
  const scoped = union.every(({ allApplications }) => !allApplications);
  refuseUnless(
    scoped,
    'attestation-invalid',
    'Android says that every app may use the key (allApplications), not the browser alone',
  );
  const generated = union.every(({ origin }) => origin === undefined || origin === GENERATED);
  refuseUnless(
    generated,
    'attestation-invalid',
    'Android says that the key was imported into the device (origin), not generated there',
  );
  const signs = union.every(({ purpose }) => purpose === undefined || isSignOnly(purpose));
  refuseUnless(signs, 'attestation-invalid', 'Android says that the key may do more than sign (purpose)');
}

function isHardwareEnforced(description: KeyDescription): boolean {
  const { attestationSecurityLevel, keymasterSecurityLevel, hardwareEnforced } = description;
  const { origin, purpose } = hardwareEnforced;
  return (
    HARDWARE_LEVELS.includes(attestationSecurityLevel) &&
    HARDWARE_LEVELS.includes(keymasterSecurityLevel) &&
    origin === GENERATED &&
    purpose !== undefined &&
    isSignOnly(purpose)
  );
}

const isSignOnly = (purposes: readonly number[]): boolean => purposes.length === 1 && purposes[0] === SIGN;
