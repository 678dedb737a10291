import { createHash } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** The identity that an X.509-SVID gives a service. */
export interface Svid {
  readonly spiffeId: string;
  /** Lower-case hexadecimal SHA-256 of the certificate's DER. */
  readonly fingerprint: string;
  /** Lower-case hexadecimal SHA-256 of the public key (SubjectPublicKeyInfo, DER). */
  readonly publicKey: string;
  /** Lower-case hexadecimal serial number. */
  readonly serialNumber: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The issuing authority: its authority key identifier in hexadecimal, or a digest of its name without one. */
  readonly authority: string;
}

/** A certificate that passed the handshake but is not an X.509-SVID of our trust domain. */
export class SvidError extends Error {}

const MAX_ID_BYTES = 2_048;
const PATH_SEGMENT = /^[A-Za-z0-9._-]+$/;
const { KeyUsageFlags } = x509;

/**
 * Reads a caller's identity from the DER of its certificate, never from text, which a subject could forge. The rules
 * are SPIFFE X509-SVID §3-§5 and SPIFFE-ID §2.
 *
 * @throws SvidError with the rule that the certificate breaks
 */
export function parseSvid(der: Buffer, trustDomain: string): Svid {
  const certificate = new x509.X509Certificate(new Uint8Array(der));
  requireLeaf(certificate);
  return Object.freeze({
    spiffeId: readSpiffeId(certificate, trustDomain),
    fingerprint: sha256(der),
    publicKey: sha256(new Uint8Array(certificate.publicKey.rawData)),
    serialNumber: certificate.serialNumber.toLowerCase(),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    authority: readAuthority(certificate),
  });
}

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Identifies the authority by its key, because two authorities may have the same name. */
function readAuthority(certificate: x509.X509Certificate): string {
  const { keyId } = certificate.getExtension(x509.AuthorityKeyIdentifierExtension) ?? {};
  return keyId ?? sha256(Buffer.from(certificate.issuer));
}

function requireLeaf(certificate: x509.X509Certificate): void {
  if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca) throw new SvidError('the certificate is a CA');
  const keyUsage = certificate.getExtension(x509.KeyUsagesExtension);
  if (!keyUsage?.critical) throw new SvidError('key usage is absent or not critical');
  if (!(keyUsage.usages & KeyUsageFlags.digitalSignature)) throw new SvidError('key usage lacks digitalSignature');
  if (keyUsage.usages & (KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)) {
    throw new SvidError('key usage has keyCertSign or cRLSign');
  }
  const extended = certificate.getExtension(x509.ExtendedKeyUsageExtension);
  if (!extended) {
    throw new SvidError(
      'extended key usage is absent, so it lacks clientAuth: SPIFFE allows that, this service does not',
    );
  }
  if (!extended.usages.includes(x509.ExtendedKeyUsage.clientAuth)) {
    throw new SvidError('extended key usage lacks clientAuth');
  }
}

function readSpiffeId(certificate: x509.X509Certificate, trustDomain: string): string {
  const extensions = certificate.getExtensions(x509.SubjectAlternativeNameExtension);
  const names = extensions.flatMap((extension) => extension.names.items);
  const uris = names.filter((name) => name.type === 'url');
  if (uris.length === 0) {
    throw new SvidError('the certificate has no URI name, so no SPIFFE ID (Linkerd’s certificates have none either)');
  }
  if (uris.length > 1) throw new SvidError(`the certificate has ${String(uris.length)} URI names; an SVID has one`);
  const id = uris[0]!.value;
  if (Buffer.byteLength(id) > MAX_ID_BYTES) throw new SvidError('the SPIFFE ID is longer than 2048 bytes');
  const prefix = `spiffe://${trustDomain}/`;
  if (!id.startsWith(prefix)) throw new SvidError(`the SPIFFE ID is not in the trust domain ${trustDomain}`);
  const segments = id.slice(prefix.length).split('/');
  if (!segments.every((segment) => PATH_SEGMENT.test(segment) && segment !== '.' && segment !== '..')) {
    throw new SvidError('the SPIFFE ID has an empty, relative or encoded path segment');
  }
  return id;
}
