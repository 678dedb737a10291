import { X509Certificate } from 'node:crypto';
import type { Excuse } from './certificate-path.js';
import { WELL_KNOWN_ROOTS } from './well-known-roots.js';

/** The name of Google's RSA root is a serial number. */
const FACTORY_ROOT = 'serialNumber=f92009e853b6b045';
/** The key, the batch, Google's intermediate and the root. */
const FACTORY_PATH = 4;

/**
 * Excuses the certificates of Android keys from rules that Google's own verifier ignores (docs/adr/0007-attestation-formats.md):
 *
 * 1. The dates of the key's own certificate are not judged: the device writes them by a clock that its user sets.
 * 2. Until Android 12 the batch's key was put into the device in the factory and can never be replaced, so its
 *    certificates may have ended. Some batch certificates say that they may not sign others.
 *
 * The service judges certificates that phones fetch (`Droid CA2` and below) like any others.
 */
export function androidExcuse(path: readonly X509Certificate[]): Excuse {
  const [, , intermediate, root] = path;
  const factory = path.length === FACTORY_PATH && isFactoryRoot(root!) && /^serialNumber=/m.test(intermediate!.subject);
  return { leafDates: true, ended: factory, leafIssuer: factory };
}

const GOOGLE_ROOTS = WELL_KNOWN_ROOTS['android-key']!.map((pem) => new X509Certificate(pem));

/** Compares name and key: FIDO metadata names the same root, perhaps in another edition. */
function isFactoryRoot({ subject, publicKey }: X509Certificate): boolean {
  return (
    subject === FACTORY_ROOT &&
    GOOGLE_ROOTS.some((root) => root.subject === subject && root.publicKey.equals(publicKey))
  );
}
