import { X509Certificate } from 'node:crypto';
import type { Distrust } from './attestation.js';
import type { VerifiedStatement } from './attestation-statement.js';
import { type Excuse, validatePath, formatName, type PathFlaw, type PathRules } from '../x509/certificate-path.js';
import type { AttestationTrust } from './refusal.js';
import { WELL_KNOWN_ROOTS } from './well-known-roots.js';

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
    detail:
      `${cause}: its last certificate is issued by "${issuer}". ` +
      'If that is the root of a maker that you trust, add it to PASSKEY_ATTESTATION_ROOTS_FILE',
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

/** The subject of Google's RSA root. */
const FACTORY_ROOT = 'serialNumber=f92009e853b6b045';
/** The number of certificates: the key, the batch, Google's intermediate and the root. */
const FACTORY_PATH = 4;

/**
 * Excuses the certificates of Android keys from rules that Google's own verifier ignores
 * (docs/adr/0007-attestation-formats.md):
 *
 * 1. The dates of the key's own certificate are ignored: the device takes them from a clock that its user sets.
 * 2. Until Android 12 the factory put the batch's key into the device, where nothing can replace it. So its
 *    certificates may have expired. Some batch certificates also say that they may not sign others.
 *
 * The service judges certificates that phones fetch (`Droid CA2` and below) like any others.
 */
export function excuseAndroidPath(path: readonly X509Certificate[]): Excuse {
  const [, , intermediate, root] = path;
  const factory = path.length === FACTORY_PATH && isFactoryRoot(root!) && /^serialNumber=/m.test(intermediate!.subject);
  return { leafDates: true, ended: factory, leafIssuer: factory };
}

const GOOGLE_ROOTS = WELL_KNOWN_ROOTS['android-key']!.map((pem) => new X509Certificate(pem));

/** Compares subject and key, because FIDO metadata may have another edition of the same root. */
function isFactoryRoot({ subject, publicKey }: X509Certificate): boolean {
  return (
    subject === FACTORY_ROOT &&
    GOOGLE_ROOTS.some((root) => root.subject === subject && root.publicKey.equals(publicKey))
  );
}
