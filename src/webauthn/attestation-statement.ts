import { X509Certificate } from 'node:crypto';
import { verifyAndroidKey } from './android-key.js';
import { verifyApple } from './apple.js';
import type { Attestation, Distrust, Statement } from './attestation.js';
import { demandBoundedKey, readBoundedChain } from './certificate-bounds.js';
import { verifyFidoU2f } from './fido-u2f.js';
import { verifyPacked } from './packed.js';
import { verifyTpm } from './tpm.js';
import { Refusal, refuseUnless } from './refusal.js';

/** The attestation statement formats that this service verifies (WebAuthn L3 §8). */
export const ATTESTATION_FORMATS = ['none', 'packed', 'fido-u2f', 'tpm', 'apple', 'android-key'] as const;

export type AttestationFormat = (typeof ATTESTATION_FORMATS)[number];

/** A statement that is true. Trust in its certificates is a separate question. */
export interface VerifiedStatement {
  readonly format: string;
  /** Leaf first; empty for `none` and self attestation. */
  readonly certificates: readonly X509Certificate[];
  /** A reason not to trust the statement, even if its chain leads to a known root. */
  readonly weakness: Distrust | undefined;
}

/** @returns a reason not to trust the statement. @throws Refusal attestation-invalid */
type Verifier = (attestation: Attestation) => Distrust | undefined;

const VERIFIERS: Readonly<Record<AttestationFormat, Verifier>> = {
  none: ({ statement }) => {
    refuseUnless(statement.size === 0, 'attestation-invalid', 'the statement of the format none is not empty');
    return undefined;
  },
  packed: (attestation) => {
    verifyPacked(attestation);
    return undefined;
  },
  'fido-u2f': verifyFidoU2f,
  tpm: verifyTpm,
  apple: (attestation) => {
    verifyApple(attestation);
    return undefined;
  },
  'android-key': verifyAndroidKey,
};

/**
 * WebAuthn L3 §7.1 step 22. One file verifies each format. This step ignores the dates of certificates, which concern
 * the trust in a statement and not its truth. `assessTrust` decides on trust, by the same rule for every format.
 *
 * @throws Refusal attestation-invalid
 */
export function verifyStatement(
  format: AttestationFormat,
  about: Omit<Attestation, 'certificates'>,
): VerifiedStatement {
  const certificates = readX5c(format, about.statement);
  return { format, certificates, weakness: VERIFIERS[format]({ ...about, certificates }) };
}

/** Reads x5c, which every format has except `none` and packed self attestation. @throws Refusal attestation-invalid */
function readX5c(format: AttestationFormat, statement: Statement): X509Certificate[] {
  if (format === 'none') return [];
  const chain = statement.get('x5c');
  if (chain === undefined) {
    refuseUnless(
      format === 'packed',
      'attestation-invalid',
      `the statement of the format ${format} has no certificates (x5c)`,
    );
    return [];
  }
  return readBoundedChain(chain).map(readX5cCertificate);
}

function readX5cCertificate(der: Uint8Array, index: number): X509Certificate {
  try {
    const certificate = new X509Certificate(der);
    demandBoundedKey(certificate.publicKey);
    if (certificate.raw.equals(der)) return certificate;
  } catch (error) {
    if (error instanceof Refusal) throw error;
  }
  throw new Refusal('attestation-invalid', `x5c[${String(index)}] is not a certificate in DER`);
}
