import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { readPemBlocks } from '../x509/pem.js';
import { TrustMaterialError } from './trust-material-error.js';

/** OpenSSL treats these labels alike. */
const CERTIFICATE = '(?:TRUSTED |X509 )?CERTIFICATE';

/**
 * Reads the certificate authorities in a file. It refuses an authority whose callers OpenSSL would all refuse, because
 * it leads to no root or may not sign revocation lists.
 *
 * @param areListsRequired false if an authority needs no revocation list
 * @throws TrustMaterialError
 */
export function parseAuthorities(pem: Buffer, areListsRequired = true): X509Certificate[] {
  const authorities = parseAuthorityCertificates(pem);
  if (authorities.length === 0) throw toCaFileError('holds no certificate (PEM)');
  for (const authority of authorities) {
    if (!authority.ca) throw toCaFileError(`${describeSubject(authority)} is not a certificate authority`);
    if (areListsRequired && !canSignLists(authority))
      throw toCaFileError(`${describeSubject(authority)} may not sign revocation lists`);
    if (!hasPathToRoot(authority, authorities))
      throw toCaFileError(`${describeSubject(authority)} leads to no root in the file`);
  }
  return authorities;
}

export function isRoot(authority: X509Certificate): boolean {
  return authority.checkIssued(authority);
}

/** Formats a certificate's subject on one line. */
export function formatSubject({ subject }: X509Certificate): string {
  return (subject as string | undefined)?.replaceAll('\n', ', ') ?? '';
}

/** Formats a certificate's subject on one line, in quotation marks. */
export const describeSubject = (certificate: X509Certificate): string => `"${formatSubject(certificate)}"`;

function parseAuthorityCertificates(pem: Buffer): X509Certificate[] {
  try {
    return readPemBlocks(pem.toString('latin1'), CERTIFICATE).map(({ text }) => new X509Certificate(text));
  } catch {
    throw toCaFileError('holds a certificate that cannot be parsed');
  }
}

/** Checks for cRLSign if the certificate has a key usage (RFC 5280 §6.3.3 (f)). */
export function canSignLists({ raw }: X509Certificate): boolean {
  const keyUsage = new x509.X509Certificate(new Uint8Array(raw)).getExtension(x509.KeyUsagesExtension);
  return !keyUsage || (keyUsage.usages & x509.KeyUsageFlags.cRLSign) !== 0;
}

/** Returns true if a path through the authorities leads from this one to a root. */
export function hasPathToRoot(authority: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  const reached = new Set([authority]);
  for (const one of reached) {
    if (isRoot(one)) return true;
    for (const other of authorities) if (one.checkIssued(other) && one.verify(other.publicKey)) reached.add(other);
  }
  return false;
}

function toCaFileError(problem: string): TrustMaterialError {
  return TrustMaterialError.forSetting('CA_FILE', problem);
}
