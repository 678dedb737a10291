import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { parseCertificate } from './parsed-certificate.js';

/**
 * Certification paths (RFC 5280 §6.1) of attestation certificates. The chain comes leaf first and in order, with or
 * without its root. An anchor is a name and a key, so that a root which was sent in an older or cross-signed edition is
 * replaced by the configured one; it may be an intermediate, or, as FIDO metadata does, the attestation certificate
 * itself. Policies are not processed, and nothing is ever fetched: what is revoked, FIDO metadata says.
 */
export type PathVerdict =
  | { readonly anchor: X509Certificate; /** From the leaf to the anchor. */ readonly path: readonly X509Certificate[] }
  | { readonly cause: string };

/** Critical extensions that are understood, or that cannot weaken a path: any other one ends it (RFC 5280 §4.2). */
const UNDERSTOOD = new Set([
  '2.5.29.15', // keyUsage
  '2.5.29.17', // subjectAltName
  '2.5.29.19', // basicConstraints
  '2.5.29.32', // certificatePolicies: every policy is acceptable
  '2.5.29.37', // extKeyUsage: the statement's format asks for it
]);
const MIN_RSA_BITS = 2_048;

/** @param alsoUnderstood critical extensions, by object identifier, that the caller answers for */
export function certificatePath(
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  now: Date,
  alsoUnderstood: readonly string[] = [],
): PathVerdict {
  if (new Set(chain.map(({ fingerprint256 }) => fingerprint256)).size < chain.length) {
    return { cause: 'a certificate comes twice' };
  }
  let cause = 'it ends in no known root';
  for (const anchor of anchors) {
    const path = pathTo(anchor, chain);
    if (!path) continue;
    const flaw = flawOf(path, now, alsoUnderstood);
    if (flaw === undefined) return { anchor, path };
    cause = flaw;
  }
  return { cause };
}

/** The certificates from the leaf to the anchor, if their names lead there; what was sent beyond the anchor is left out. */
function pathTo(anchor: X509Certificate, chain: readonly X509Certificate[]): X509Certificate[] | undefined {
  const sent = chain.findIndex(
    (certificate, index) => certificate.raw.equals(anchor.raw) || (index > 0 && isSameAuthority(certificate, anchor)),
  );
  if (sent === 0) return [anchor];
  const path = sent < 0 ? chain : chain.slice(0, sent);
  const last = path.at(-1);
  return last !== undefined && last.issuer === anchor.subject ? [...path, anchor] : undefined;
}

function isSameAuthority(one: X509Certificate, other: X509Certificate): boolean {
  return one.subject === other.subject && one.publicKey.equals(other.publicKey);
}

/** From the anchor down, so that no certificate is parsed further, and no key used, before its own issuer has signed it. */
function flawOf(path: readonly X509Certificate[], now: Date, alsoUnderstood: readonly string[]): string | undefined {
  try {
    for (const [index, certificate] of [...path.entries()].reverse()) {
      const issuer = path[index + 1];
      const unlinked = issuer && flawOfLink(certificate, issuer);
      if (unlinked !== undefined) return unlinked;
      const { validFromDate, validToDate } = certificate;
      if (now < validFromDate || now > validToDate) return `${nameOf(certificate)} is not valid at this time`;
      const intermediates = index === 0 ? -1 : path.slice(1, index).filter((each) => !isSelfIssued(each)).length;
      const flaw = flawOfKey(certificate) ?? flawOfExtensions(certificate, intermediates, alsoUnderstood);
      if (flaw !== undefined) return flaw;
    }
    return undefined;
  } catch {
    return 'it holds a certificate that cannot be verified';
  }
}

const isSelfIssued = ({ subject, issuer }: X509Certificate): boolean => subject === issuer;

/** `checkIssued` compares names and key identifiers, and asks the issuer's key usage for keyCertSign. */
function flawOfLink(subject: X509Certificate, issuer: X509Certificate): string | undefined {
  if (!issuer.ca) return `${nameOf(issuer)} is no certificate authority`;
  if (!subject.checkIssued(issuer)) return `${nameOf(issuer)} did not issue ${nameOf(subject)}`;
  if (/md[245]|sha-?1\b/i.test(subject.signatureAlgorithm ?? ''))
    return `${nameOf(subject)} is signed by a broken hash`;
  if (!subject.verify(issuer.publicKey)) return `the signature of ${nameOf(subject)} does not hold`;
  return undefined;
}

function flawOfKey({ publicKey }: X509Certificate): string | undefined {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS;
  return bits < MIN_RSA_BITS ? `an RSA key has ${String(bits)} bits` : undefined;
}

/** @param intermediates how many that are not self-issued stand between the leaf and this certificate; -1: it is the leaf */
function flawOfExtensions(
  certificate: X509Certificate,
  intermediates: number,
  alsoUnderstood: readonly string[],
): string | undefined {
  const parsed = parseCertificate(certificate);
  const unknown = parsed.extensions.find(
    ({ critical, type }) => critical && !UNDERSTOOD.has(type) && !alsoUnderstood.includes(type),
  );
  if (unknown) return `${nameOf(certificate)} has the critical extension ${unknown.type}`;
  const allowed = parsed.getExtension(x509.BasicConstraintsExtension)?.pathLength ?? Infinity;
  return intermediates > allowed ? `${nameOf(certificate)} allows no path of this length` : undefined;
}

/** The subject, on one line and at most 200 characters of it. */
export function nameOf({ subject }: X509Certificate): string {
  const name = (subject as string | undefined)?.replaceAll('\n', ', ') ?? '';
  return `"${name.slice(0, 200).toWellFormed()}"`;
}
