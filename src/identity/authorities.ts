import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { pemBlocks } from '../x509/pem.js';
import { TrustMaterialError } from './trust-material-error.js';

/** OpenSSL treats these labels alike. */
const CERTIFICATE = '(?:TRUSTED |X509 )?CERTIFICATE';

/**
 * Reads the certificate authorities in a file. It refuses an authority whose callers OpenSSL would all refuse, because
 * it leads to no root or may not sign revocation lists.
 *
 * @throws TrustMaterialError
 */
export function authoritiesOf(pem: Buffer): X509Certificate[] {
  const authorities = certificatesOf(pem);
  if (authorities.length === 0) throw mistake('holds no certificate (PEM)');
  for (const authority of authorities) {
    if (!authority.ca) throw mistake(`${describe(authority)} is not a certificate authority`);
    if (!signsLists(authority)) throw mistake(`${describe(authority)} may not sign revocation lists`);
    if (!leadsToRoot(authority, authorities)) throw mistake(`${describe(authority)} leads to no root in the file`);
  }
  return authorities;
}

export function isRoot(authority: X509Certificate): boolean {
  return authority.checkIssued(authority);
}

/** Formats a certificate's subject on one line. */
export function describe({ subject }: X509Certificate): string {
  return `"${(subject as string | undefined)?.replaceAll('\n', ', ') ?? ''}"`;
}

function certificatesOf(pem: Buffer): X509Certificate[] {
  try {
    return pemBlocks(pem.toString('latin1'), CERTIFICATE).map(({ text }) => new X509Certificate(text));
  } catch {
    throw mistake('holds a certificate that cannot be parsed');
  }
}

/** Checks for cRLSign if the certificate has a key usage (RFC 5280 §6.3.3 (f)). */
function signsLists({ raw }: X509Certificate): boolean {
  const keyUsage = new x509.X509Certificate(new Uint8Array(raw)).getExtension(x509.KeyUsagesExtension);
  return !keyUsage || (keyUsage.usages & x509.KeyUsageFlags.cRLSign) !== 0;
}

/** Returns true if a path through the authorities leads from this one to a root. */
export function leadsToRoot(authority: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  const reached = new Set([authority]);
  for (const one of reached) {
    if (isRoot(one)) return true;
    for (const other of authorities) if (one.checkIssued(other) && one.verify(other.publicKey)) reached.add(other);
  }
  return false;
}

function mistake(problem: string): TrustMaterialError {
  return TrustMaterialError.of('CA_FILE', problem);
}
