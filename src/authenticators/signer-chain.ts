import { X509Certificate } from 'node:crypto';
import { describeCertificate, validatePath } from '../x509/certificate-path.js';
import { MetadataError } from './metadata.js';

/**
 * Verifies the chain of the signer: it must lead to a root, and the leaf must be for the host name. Nothing is fetched:
 * revocation lists are behind URLs that the chain itself names.
 *
 * @param chain x5c in DER, the leaf first
 * @param roots PEM
 * @throws MetadataError
 */
export function verifySigner(
  chain: readonly Buffer[],
  roots: readonly string[],
  hostname: string,
  now: Date,
): X509Certificate {
  const certificates = chain.map(parseCertificate);
  const [leaf] = certificates;
  if (!leaf) throw new MetadataError('the chain is empty');
  const anchors = roots.map((pem) => new X509Certificate(pem));
  const path = validatePath(certificates, anchors, now);
  if ('cause' in path) {
    const advice = path.code === 'not-valid-now' ? '; fetch the current BLOB from https://mds3.fidoalliance.org' : '';
    throw new MetadataError(`the signer’s chain: ${path.cause}${advice}`);
  }
  if (leaf.ca) throw new MetadataError(`the signer ${describeCertificate(leaf)} is a certificate authority`);
  // Checks the dNSName, or the CN if there is no dNSName.
  if (leaf.checkHost(hostname, { subject: 'default', wildcards: false }) === undefined) {
    throw new MetadataError(`the signer ${describeCertificate(leaf)} is not ${hostname}`);
  }
  return leaf;
}

function parseCertificate(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw new MetadataError('an entry of x5c is not a certificate', { cause });
  }
}
