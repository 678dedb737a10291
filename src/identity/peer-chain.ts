import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { certificatePath } from '../webauthn/certificate-path.js';
import { issuerOf } from './revocation-list.js';
import { listOf, type TrustMaterial } from './trust-material.js';

/** Constraints of an intermediate, which OpenSSL held against the leaf in the handshake and which do not change. */
const HELD_IN_THE_HANDSHAKE = ['2.5.29.30', '2.5.29.36', '2.5.29.54'];

/** The certificates that a connection's peer proved itself by, leaf first. */
export function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let certificate = socket.getPeerCertificate(true) as DetailedPeerCertificate | undefined;
  while (certificate?.raw && chain.length < 10) {
    chain.push(new X509Certificate(certificate.raw));
    const issuer = certificate.issuerCertificate as DetailedPeerCertificate | undefined;
    certificate = issuer?.raw.equals(certificate.raw) ? undefined : issuer;
  }
  return chain;
}

/**
 * Asks of a live connection what a new handshake would: a path to an authority that is trusted now, and no certificate
 * of it revoked.
 *
 * @returns why the peer is no longer trusted; undefined: it is
 */
export async function flawOfPeer(
  chain: readonly X509Certificate[],
  material: Pick<TrustMaterial, 'authorities' | 'revocationLists'>,
  now: Date,
): Promise<string | undefined> {
  const verdict = certificatePath(chain, material.authorities, now, HELD_IN_THE_HANDSHAKE);
  if ('cause' in verdict) return `the certificate is no longer trusted: ${verdict.cause}`;
  for (const [index, authority] of verdict.path.slice(1).entries()) {
    const list = await listOf(authority, material);
    if (!list) return 'the certificate’s authority has no revocation list';
    if (!list.nextUpdate || now > list.nextUpdate) return 'the revocation list has ended';
    if (list.revokes(verdict.path[index]!.serialNumber)) return 'the certificate was revoked';
  }
  return undefined;
}

/** When the revocation list of a certificate's issuer ends; undefined: there is none. */
export function revocationEnd(
  certificate: X509Certificate,
  { revocationLists }: Pick<TrustMaterial, 'revocationLists'>,
): Date | undefined {
  const issuer = issuerOf(certificate);
  const ends = revocationLists
    .filter((list) => list.issuer === issuer)
    .map(({ nextUpdate }) => nextUpdate?.getTime() ?? 0);
  return ends.length === 0 ? undefined : new Date(Math.max(...ends));
}
