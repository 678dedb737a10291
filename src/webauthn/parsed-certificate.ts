import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const PARSED = new WeakMap<X509Certificate, x509.X509Certificate>();

/** The certificate with its extensions, which node:crypto does not show. Each object is parsed once. @throws Error */
export function parseCertificate(certificate: X509Certificate): x509.X509Certificate {
  const parsed = PARSED.get(certificate) ?? new x509.X509Certificate(new Uint8Array(certificate.raw));
  PARSED.set(certificate, parsed);
  return parsed;
}
