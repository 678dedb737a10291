import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, id_ce_basicConstraints } from '@peculiar/asn1-x509';
import { parseCertificate } from './parsed-certificate.js';

/**
 * Certification paths (RFC 5280 §6.1) of attestation certificates. The chain comes leaf first and in order, with or
 * without its root. An anchor is a name and a key, so that a root which was sent in an older or cross-signed edition is
 * replaced by the configured one; it may be an intermediate, or, as FIDO metadata does, the attestation certificate
 * itself. Policies are not processed, and nothing is ever fetched: what is revoked, FIDO metadata says.
 */
export type PathVerdict =
  | { readonly anchor: X509Certificate; /** From the leaf to the anchor. */ readonly path: readonly X509Certificate[] }
  | PathFlaw;

export interface PathFlaw {
  readonly code: 'root-unknown' | 'not-valid-now' | 'path-invalid';
  readonly cause: string;
}

/** Rules that a path need not meet, because the owner of its anchor says so. */
export interface Excuse {
  /** The leaf’s dates are not judged. */
  readonly leafDates?: boolean;
  /** Certificates may have ended. */
  readonly ended?: boolean;
  /** The certificate above the leaf need not be an authority's. */
  readonly leafIssuer?: boolean;
}

export interface PathRules {
  /** Critical extensions, by object identifier, that the caller answers for. */
  readonly alsoUnderstood?: readonly string[];
  /** Asked for each path that leads to an anchor by its names. */
  readonly excuse?: (path: readonly X509Certificate[]) => Excuse;
}

/** Critical extensions that are understood, or that cannot weaken a path: any other one ends it (RFC 5280 §4.2). */
const UNDERSTOOD = new Set([
  '2.5.29.15', // keyUsage
  '2.5.29.17', // subjectAltName
  '2.5.29.19', // basicConstraints
  '2.5.29.32', // certificatePolicies: every policy is acceptable
  '2.5.29.37', // extKeyUsage: the statement's format asks for it
]);
const MIN_RSA_BITS = 2_048;

export function certificatePath(
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  now: Date,
  rules: PathRules = {},
): PathVerdict {
  if (new Set(chain.map(({ fingerprint256 }) => fingerprint256)).size < chain.length) {
    return invalid('a certificate comes twice');
  }
  let flaw: PathFlaw = { code: 'root-unknown', cause: 'it ends in no known root' };
  for (const anchor of anchors) {
    const path = pathTo(anchor, chain);
    if (!path) continue;
    const found = flawOf(path, now, rules);
    if (found === undefined) return { anchor, path };
    flaw = found;
  }
  return flaw;
}

const invalid = (cause: string): PathFlaw => ({ code: 'path-invalid', cause });

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

/** Goes from the anchor down: it parses no certificate further, and uses no key, before the certificate's issuer has signed it. */
function flawOf(path: readonly X509Certificate[], now: Date, rules: PathRules): PathFlaw | undefined {
  try {
    const excuse = rules.excuse?.(path) ?? {};
    for (const [index, certificate] of [...path.entries()].reverse()) {
      const issuer = path[index + 1];
      const isLeaf = index === 0;
      const unlinked = issuer && flawOfLink(certificate, issuer, isLeaf && excuse.leafIssuer === true);
      if (unlinked !== undefined) return invalid(unlinked);
      const dates = flawOfDates(certificate, now, isLeaf, excuse);
      if (dates !== undefined) return { code: 'not-valid-now', cause: dates };
      const intermediates = isLeaf ? -1 : path.slice(1, index).filter((each) => !isSelfIssued(each)).length;
      const flaw = flawOfKey(certificate) ?? flawOfExtensions(certificate, intermediates, rules.alsoUnderstood);
      if (flaw !== undefined) return invalid(flaw);
    }
    return undefined;
  } catch {
    return invalid('it holds a certificate that cannot be verified');
  }
}

const isSelfIssued = ({ subject, issuer }: X509Certificate): boolean => subject === issuer;

function flawOfDates(certificate: X509Certificate, now: Date, isLeaf: boolean, excuse: Excuse): string | undefined {
  if (isLeaf && excuse.leafDates) return undefined;
  const { validFromDate, validToDate } = certificate;
  const wrong = `${nameOf(certificate)} is not valid at this time: it`;
  if (now < validFromDate) return `${wrong} begins at ${validFromDate.toISOString()}`;
  return now > validToDate && !excuse.ended ? `${wrong} ended at ${validToDate.toISOString()}` : undefined;
}

/** `checkIssued` compares names and key identifiers, and asks the issuer's key usage for keyCertSign. */
function flawOfLink(subject: X509Certificate, issuer: X509Certificate, byAny: boolean): string | undefined {
  if (!issuer.ca && !byAny) return `${nameOf(issuer)} is not a certificate authority`;
  const issued = byAny && !issuer.ca ? subject.issuer === issuer.subject : subject.checkIssued(issuer);
  if (!issued) return `${nameOf(issuer)} did not issue ${nameOf(subject)}`;
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
  alsoUnderstood: readonly string[] = [],
): string | undefined {
  const parsed = parseCertificate(certificate);
  const unknown = parsed.extensions.find(
    ({ critical, extnID }) => critical && !UNDERSTOOD.has(extnID) && !alsoUnderstood.includes(extnID),
  );
  if (unknown) return `${nameOf(certificate)} has the critical extension ${unknown.extnID}`;
  const constraints = parsed.extensions.find(({ extnID }) => extnID === id_ce_basicConstraints);
  const { pathLenConstraint: allowed = Infinity } = constraints
    ? AsnConvert.parse(constraints.extnValue.buffer, BasicConstraints)
    : {};
  return intermediates > allowed ? `${nameOf(certificate)} allows no path of this length` : undefined;
}

/** The subject, on one line and at most 200 characters of it; the serial number where it is empty, as a TPM’s is. */
export function nameOf({ subject, serialNumber }: X509Certificate): string {
  const name = nameInOneLine(subject);
  return name === '' ? `the certificate ${serialNumber}` : `"${name}"`;
}

/** At most 200 characters. @param name as node:crypto gives it: undefined for an empty one, against its types */
export function nameInOneLine(name: string | undefined): string {
  return name?.replaceAll('\n', ', ').slice(0, 200).toWellFormed() ?? '';
}
