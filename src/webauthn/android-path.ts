import { X509Certificate } from 'node:crypto';
import type { Excuse } from '../x509/certificate-path.js';
import { WELL_KNOWN_ROOTS } from './well-known-roots.js';

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
 * certificates
 *    may have expired. Some batch certificates also say that they may not sign others.
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
