import { X509Certificate } from 'node:crypto';
import { certificatePath, nameOf } from './certificate-path.js';
import type { AttestationTrust } from './verdict.js';

/** How far an attestation is trusted (WebAuthn L3 §7.1 steps 23 and 24). */
export interface AttestationVerdict {
  readonly format: string;
  readonly trust: AttestationTrust;
  /** Subject of the anchor that a trusted attestation ends in. */
  readonly root?: string;
  /** Why an attestation with certificates is not trusted. */
  readonly cause?: string;
}

/** A statement that holds; whether its certificates do is asked here. */
export interface VerifiedStatement {
  readonly format: string;
  /** Leaf first; none for `none` and self attestation. */
  readonly certificates: readonly X509Certificate[];
  /** What keeps it from being trusted, whoever signed it. */
  readonly weakness?: string | undefined;
}

/** @param roots PEM; each may hold one certificate */
export function assessTrust(
  { format, certificates, weakness }: VerifiedStatement,
  roots: readonly string[],
  now: Date,
): AttestationVerdict {
  if (format === 'none') return { format, trust: 'none' };
  if (certificates.length === 0) return { format, trust: 'self' };
  if (weakness !== undefined) return { format, trust: 'untrusted', cause: weakness };
  const path = certificatePath(certificates, certificatesIn(roots), now);
  if ('cause' in path) return { format, trust: 'untrusted', cause: path.cause };
  return { format, trust: 'trusted', root: nameOf(path.anchor).slice(1, -1) };
}

/** A root that cannot be read is no root: whoever configures roots says so where they are configured. */
function certificatesIn(roots: readonly string[]): X509Certificate[] {
  return roots.flatMap((pem) => {
    try {
      return [new X509Certificate(pem)];
    } catch {
      return [];
    }
  });
}
