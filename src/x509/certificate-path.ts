import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, id_ce_basicConstraints } from '@peculiar/asn1-x509';
import { findRepeatedExtension, parseCertificate } from './parsed-certificate.js';

/**
 * The validation of a certification path (RFC 5280 §6.1) for attestation certificates. The chain is in order, leaf
 * first, with or without its root. An anchor is a subject and a key, so the configured root replaces an older or
 * cross-signed edition in the chain. An anchor may be an intermediate or, as in FIDO metadata, the attestation
 * certificate itself. This file processes no policies and fetches nothing: FIDO metadata reports revoked certificates.
 */
export type PathVerdict =
  | { readonly anchor: X509Certificate; /** From the leaf to the anchor. */ readonly path: readonly X509Certificate[] }
  | PathFlaw;

export interface PathFlaw {
  readonly code: 'root-unknown' | 'not-valid-now' | 'path-invalid';
  readonly cause: string;
}

/** Rules that a path need not meet, because its anchor's owner ignores them. */
export interface Excuse {
  /** The leaf's dates are ignored. */
  readonly leafDates?: boolean;
  /** Certificates may have expired. */
  readonly ended?: boolean;
  /** The issuer of the leaf need not be a certificate authority. */
  readonly leafIssuer?: boolean;
}

export interface PathRules {
  /** The object identifiers of critical extensions that the caller processes. */
  readonly alsoUnderstood?: readonly string[];
  /** Called for each path whose names lead to an anchor. */
  readonly excuse?: (path: readonly X509Certificate[]) => Excuse;
}

/**
 * The critical extensions that this file processes or that cannot weaken a path. Any other one is a flaw (RFC 5280
 * §4.2).
 */
const UNDERSTOOD = new Set([
  '2.5.29.15', // keyUsage
  '2.5.29.17', // subjectAltName
  '2.5.29.19', // basicConstraints
  '2.5.29.32', // certificatePolicies: every policy is acceptable
  '2.5.29.37', // extKeyUsage: the verifier of the statement's format checks it
]);
const MIN_RSA_BITS = 2_048;

export function validatePath(
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  now: Date,
  rules: PathRules = {},
): PathVerdict {
  if (new Set(chain.map(({ fingerprint256 }) => fingerprint256)).size < chain.length) {
    return makeInvalid('a certificate appears twice');
  }
  let flaw: PathFlaw = { code: 'root-unknown', cause: 'it does not end in a known root' };
  for (const anchor of anchors) {
    const path = findPathTo(anchor, chain);
    if (!path) continue;
    const found = findFlaw(path, now, rules);
    if (found === undefined) return { anchor, path };
    flaw = found;
  }
  return flaw;
}

const makeInvalid = (cause: string): PathFlaw => ({ code: 'path-invalid', cause });

/**
 * The certificates from the leaf to the anchor, if their names lead there. It omits the part of the chain beyond the
 * anchor.
 */
function findPathTo(anchor: X509Certificate, chain: readonly X509Certificate[]): X509Certificate[] | undefined {
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

/** Goes from the anchor down, so it verifies the issuer's signature before it parses a certificate or uses its key. */
function findFlaw(path: readonly X509Certificate[], now: Date, rules: PathRules): PathFlaw | undefined {
  try {
    const excuse = rules.excuse?.(path) ?? {};
    for (const [index, certificate] of [...path.entries()].reverse()) {
      const issuer = path[index + 1];
      const isLeaf = index === 0;
      const unlinked = issuer && findLinkFlaw(certificate, issuer, isLeaf && excuse.leafIssuer === true);
      if (unlinked !== undefined) return makeInvalid(unlinked);
      const dates = findDateFlaw(certificate, now, isLeaf, excuse);
      if (dates !== undefined) return { code: 'not-valid-now', cause: dates };
      const intermediates = isLeaf ? -1 : path.slice(1, index).filter((each) => !isSelfIssued(each)).length;
      const flaw = findKeyFlaw(certificate) ?? findExtensionFlaw(certificate, intermediates, rules.alsoUnderstood);
      if (flaw !== undefined) return makeInvalid(flaw);
    }
    return undefined;
  } catch {
    return makeInvalid('it holds a certificate that cannot be verified');
  }
}

const isSelfIssued = ({ subject, issuer }: X509Certificate): boolean => subject === issuer;

function findDateFlaw(certificate: X509Certificate, now: Date, isLeaf: boolean, excuse: Excuse): string | undefined {
  if (isLeaf && excuse.leafDates) return undefined;
  const { validFromDate, validToDate } = certificate;
  const wrong = `${describeCertificate(certificate)} is not valid at this time: it`;
  if (now < validFromDate) return `${wrong} begins at ${validFromDate.toISOString()}`;
  return now > validToDate && !excuse.ended ? `${wrong} ended at ${validToDate.toISOString()}` : undefined;
}

/** `checkIssued` compares names and key identifiers, and demands keyCertSign of the issuer's key usage. */
function findLinkFlaw(subject: X509Certificate, issuer: X509Certificate, byAny: boolean): string | undefined {
  if (!issuer.ca && !byAny) return `${describeCertificate(issuer)} is not a certificate authority`;
  const issued = byAny && !issuer.ca ? subject.issuer === issuer.subject : subject.checkIssued(issuer);
  if (!issued) return `${describeCertificate(issuer)} did not issue ${describeCertificate(subject)}`;
  if (/md[245]|sha-?1\b/i.test(subject.signatureAlgorithm ?? ''))
    return `${describeCertificate(subject)} is signed with a broken hash`;
  if (!subject.verify(issuer.publicKey)) return `the signature of ${describeCertificate(subject)} is not valid`;
  return undefined;
}

function findKeyFlaw({ publicKey }: X509Certificate): string | undefined {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS;
  return bits < MIN_RSA_BITS ? `an RSA key has ${String(bits)} bits` : undefined;
}

/**
 * @param intermediates the number of certificates between the leaf and this one that are not self-issued; -1 for the
 * leaf
 */
function findExtensionFlaw(
  certificate: X509Certificate,
  intermediates: number,
  alsoUnderstood: readonly string[] = [],
): string | undefined {
  const parsed = parseCertificate(certificate);
  const repeated = findRepeatedExtension(parsed);
  if (repeated !== undefined) return `${describeCertificate(certificate)} has the extension ${repeated} twice`;
  const unknown = parsed.extensions.find(
    ({ critical, extnID }) => critical && !UNDERSTOOD.has(extnID) && !alsoUnderstood.includes(extnID),
  );
  if (unknown) return `${describeCertificate(certificate)} has the critical extension ${unknown.extnID}`;
  const constraints = parsed.extensions.find(({ extnID }) => extnID === id_ce_basicConstraints);
  const { pathLenConstraint: allowed = Infinity } = constraints
    ? AsnConvert.parse(constraints.extnValue.buffer, BasicConstraints)
    : {};
  return intermediates > allowed ? `${describeCertificate(certificate)} allows no path of this length` : undefined;
}

/** The subject in one line of at most 200 characters, or the serial number if the subject is empty, as a TPM's is. */
export function describeCertificate({ subject, serialNumber }: X509Certificate): string {
  const name = formatName(subject);
  return name === '' ? `the certificate ${serialNumber}` : `"${name}"`;
}

/**
 * At most 200 characters.
 *
 * @param name from node:crypto, which returns undefined for an empty name, against its types
 */
export function formatName(name: string | undefined): string {
  return name?.replaceAll('\n', ', ').slice(0, 200).toWellFormed() ?? '';
}
