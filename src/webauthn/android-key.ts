import 'reflect-metadata';
import { type KeyObject, verify, type X509Certificate } from 'node:crypto';
import { id_ce_keyDescription, NonStandardKeyDescription, SecurityLevel } from '@peculiar/asn1-android';
import { AsnConvert } from '@peculiar/asn1-schema';
import { parseCertificate } from './parsed-certificate.js';
import { Refusal, step } from './verdict.js';

/** What an `android-key` statement is about, and the statement; its `alg` is known to fit the leaf's key. */
export interface AndroidKeyAttestation {
  readonly alg: unknown;
  readonly sig: unknown;
  /** Leaf first. */
  readonly certificates: readonly X509Certificate[];
  readonly algorithm: number;
  readonly publicKey: KeyObject;
  readonly authData: Buffer;
  readonly clientDataHash: Buffer;
}

/** The hashes of what Android Keystore signs with, by COSE algorithm. */
const HASHES: Readonly<Record<number, string | null>> = {
  [-7]: 'sha256',
  [-8]: null,
  [-35]: 'sha384',
  [-36]: 'sha512',
  [-257]: 'sha256',
};

/** Android's Keymaster: KM_ORIGIN_GENERATED and KM_PURPOSE_SIGN. */
const GENERATED = 0;
const SIGN = 2;

/**
 * Android Key attestation, WebAuthn L3 §8.4. The key description must be the leaf's alone: a key that is itself attested
 * could sign a certificate with any description below its own.
 *
 * A key is accepted on the union of both authorization lists. What neither list says is not held against it, as in the
 * specification's own test vector; but only what the trusted environment enforces makes it trustworthy.
 *
 * @returns why the key is not to be trusted, whoever signed the chain
 * @throws Refusal attestation-invalid
 */
export function verifyAndroidKey(attestation: AndroidKeyAttestation): string | undefined {
  const { certificates, alg, sig, algorithm, publicKey, authData, clientDataHash } = attestation;
  const leaf = certificates[0]!;
  const hash = HASHES[algorithm];
  step(alg === algorithm && hash !== undefined, 'attestation-invalid', 'the algorithm is not that of the credential');
  step(leaf.publicKey.equals(publicKey), 'attestation-invalid', 'the certificate is of another key');
  const signed = Buffer.concat([authData, clientDataHash]);
  const holds = sig instanceof Uint8Array && verify(hash, signed, leaf.publicKey, sig);
  step(holds, 'attestation-invalid', 'the signature does not hold');
  const [description, ...others] = certificates.map(descriptionOf);
  step(description !== undefined, 'attestation-invalid', 'the certificate describes no key');
  const alone = others.every((other) => other === undefined);
  step(alone, 'attestation-invalid', 'a certificate that signed the key describes a key itself');
  const challenge = Buffer.from(description.attestationChallenge.buffer);
  step(challenge.equals(clientDataHash), 'attestation-invalid', 'the attestation challenge is another one');
  verifyAuthorizations(description);
  return isHardwareEnforced(description) ? undefined : 'no trusted environment enforces what the key is for';
}

function descriptionOf(certificate: X509Certificate): NonStandardKeyDescription | undefined {
  try {
    const extension = parseCertificate(certificate).getExtension(id_ce_keyDescription);
    return extension ? AsnConvert.parse(extension.value, NonStandardKeyDescription) : undefined;
  } catch {
    throw new Refusal('attestation-invalid', 'the key description cannot be read');
  }
}

function verifyAuthorizations({ softwareEnforced, teeEnforced }: NonStandardKeyDescription): void {
  const union = [...softwareEnforced, ...teeEnforced];
  const scoped = union.every(({ allApplications }) => allApplications === undefined);
  step(scoped, 'attestation-invalid', 'the key is for all applications');
  const generated = union.every(({ origin }) => origin === undefined || origin === GENERATED);
  step(generated, 'attestation-invalid', 'the key was not generated where it is');
  const signs = union.every(({ purpose }) => purpose === undefined || isSignOnly(purpose));
  step(signs, 'attestation-invalid', 'the key is for more than signing');
}

function isHardwareEnforced(description: NonStandardKeyDescription): boolean {
  const { attestationSecurityLevel, keymasterSecurityLevel, teeEnforced } = description;
  const purpose = teeEnforced.findProperty('purpose');
  return (
    attestationSecurityLevel !== SecurityLevel.software &&
    keymasterSecurityLevel !== SecurityLevel.software &&
    teeEnforced.findProperty('origin') === GENERATED &&
    purpose !== undefined &&
    isSignOnly(purpose)
  );
}

const isSignOnly = (purposes: Iterable<number>): boolean => [...purposes].join() === String(SIGN);
