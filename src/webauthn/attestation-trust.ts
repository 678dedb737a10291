import { X509Certificate } from 'node:crypto';
import { excuseAndroidPath } from './android-path.js';
import type { Distrust } from './attestation.js';
import type { VerifiedStatement } from './attestation-statement.js';
import { validatePath, formatName, type PathFlaw, type PathRules } from '../x509/certificate-path.js';
import type { AttestationTrust } from './refusal.js';

/** The trust in an attestation (WebAuthn L3 §7.1 steps 23 and 24). */
export interface AttestationVerdict {
  readonly format: string;
  readonly trust: AttestationTrust;
  /** The subject of a trusted attestation's anchor. */
  readonly root?: string;
  /** The reason not to trust an attestation with certificates. */
  readonly distrust?: Distrust;
}

const RULES: Readonly<Record<string, PathRules>> = { 'android-key': { excuse: excuseAndroidPath } };

/**
 * @param roots in PEM, one certificate each
 * @param allowSha1Tpm accepts the SHA-1 of a TPM
 */
export function assessTrust(
  { format, certificates, weakness }: VerifiedStatement,
  { roots, now, allowSha1Tpm }: { roots: readonly string[]; now: Date; allowSha1Tpm: boolean },
): AttestationVerdict {
  if (format === 'none') return { format, trust: 'none' };
  if (certificates.length === 0) return { format, trust: 'self' };
  const excused = weakness?.code === 'sha1' && allowSha1Tpm;
  if (weakness !== undefined && !excused) return { format, trust: 'untrusted', distrust: weakness };
  const path = validatePath(certificates, parseRoots(roots), now, RULES[format]);
  if ('cause' in path) return { format, trust: 'untrusted', distrust: describeDistrust(path, certificates) };
  return { format, trust: 'trusted', root: formatName(path.anchor.subject) };
}

/** A maker's new root shows up here first, so the detail names the last issuer. */
function describeDistrust({ code, cause }: PathFlaw, certificates: readonly X509Certificate[]): Distrust {
  if (code !== 'root-unknown') return { code, detail: cause };
  const issuer = formatName(certificates.at(-1)?.issuer);
  return {
    code,
    detail: `${cause}: its last certificate is issued by "${issuer}". If that is the root of a maker that you trust, add it to PASSKEY_ATTESTATION_ROOTS_FILE`, // prettier-ignore
  };
}

/** Skips roots that cannot be read. The code that loads the roots reports them. */
function parseRoots(roots: readonly string[]): X509Certificate[] {
  return roots.flatMap((pem) => {
    try {
      return [new X509Certificate(pem)];
    } catch {
      return [];
    }
  });
}
