import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { validatePath } from '../x509/certificate-path.js';
import { isRoot } from './authorities.js';
import { type Lists, findList, findListsSignedBy } from './select-lists.js';
import type { TrustMaterial } from './trust-material.js';

/**
 * Extensions that constrain an intermediate. OpenSSL applied them to the leaf in the handshake, and they do not change.
 */
const CHECKED_IN_HANDSHAKE = ['2.5.29.30', '2.5.29.36', '2.5.29.54'];
const MAX_CHAIN = 10;

/** Returns the certificates that a connection's peer presented, leaf first. */
export function readPeerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let certificate = socket.getPeerCertificate(true) as DetailedPeerCertificate | undefined;
  while (certificate?.raw && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(certificate.raw));
    const issuer = certificate.issuerCertificate as DetailedPeerCertificate | undefined;
    certificate = issuer?.raw.equals(certificate.raw) ? undefined : issuer;
  }
  return chain;
}

/** What judges a peer. */
export type PeerTrust = Lists & Pick<TrustMaterial, 'shortLivedHours'>;

export type PeerVerdict =
  | { readonly flaw: string }
  /** The time at which the first certificate or revocation list of the path ends. */
  | { readonly until: Date };

/**
 * Verifies a live connection as a new handshake would: it needs a path to a current root, without a revoked
 * certificate.
 */
export async function verifyPeer(
  chain: readonly X509Certificate[],
  material: PeerTrust,
  now: Date,
): Promise<PeerVerdict> {
  const current = chain.map((certificate) => preferTrustedEdition(certificate, material.authorities));
  const verdict = validatePath(current, material.authorities.filter(isRoot), now, {
    alsoUnderstood: CHECKED_IN_HANDSHAKE,
  });
  if ('cause' in verdict) return { flaw: `the certificate is no longer trusted: ${verdict.cause}` };
  return verifyRevocation(verdict.path, material, now);
}

/**
 * Does the part of the verification that remains after a handshake with the same material. It finds the time until
 * which the result holds. With short-lived certificates, it alone checks their life and the lists that there are.
 */
export async function verifyRevocation(
  chain: readonly X509Certificate[],
  material: PeerTrust,
  now: Date,
): Promise<PeerVerdict> {
  const path = chain.map((certificate) => preferTrustedEdition(certificate, material.authorities));
  if (path.length < 2) return { flaw: 'the certificate’s authority is not known' };
  const { shortLivedHours } = material;
  const flaw = shortLivedHours === undefined ? undefined : findLongLife(chain[0]!, shortLivedHours);
  if (flaw !== undefined) return { flaw };
  const ends = path.map(({ validToDate }) => validToDate.getTime());
  for (const [index, authority] of path.slice(1).entries()) {
    const list = await findList(authority, material);
    if (!list && shortLivedHours === undefined) {
      return { flaw: 'the certificate’s authority has no revocation list' };
    }
    if (list && (!list.nextUpdate || now > list.nextUpdate)) return { flaw: 'the revocation list has ended' };
    if (list && now < list.thisUpdate) return { flaw: 'the revocation list has not begun' };
    const { serialNumber } = path[index]!;
    // A newer list may name another edition of the authority's certificate. It still revokes the certificates that it
    // lists.
    if ((await findListsSignedBy(authority, material)).some((signed) => signed.revokes(serialNumber))) {
      return { flaw: 'the certificate was revoked' };
    }
    if (list?.nextUpdate) ends.push(list.nextUpdate.getTime());
  }
  return { until: new Date(Math.min(...ends)) };
}

const HOUR_MS = 3_600_000;

/** @returns undefined if the certificate lives no longer than so many hours */
function findLongLife({ validFromDate, validToDate }: X509Certificate, most: number): string | undefined {
  const hours = (validToDate.getTime() - validFromDate.getTime()) / HOUR_MS;
  if (hours <= most) return undefined;
  const bound = `only certificates that live at most ${String(most)} hours are accepted (PASSKEY_TLS_SHORT_LIVED)`;
  return `the certificate lives ${String(Math.ceil(hours * 100) / 100)} hours from notBefore to notAfter; ${bound}`;
}

/**
 * Prefers a trusted certificate to the one that the peer sent, as OpenSSL does: a reissued intermediate replaces the
 * old one.
 */
function preferTrustedEdition(certificate: X509Certificate, authorities: readonly X509Certificate[]): X509Certificate {
  const edition = authorities.find(
    ({ subject, publicKey }) => subject === certificate.subject && publicKey.equals(certificate.publicKey),
  );
  return edition ?? certificate;
}
