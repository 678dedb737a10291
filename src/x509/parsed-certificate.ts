import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate, type Extension, type Name } from '@peculiar/asn1-x509';

/** The fields of a certificate that node:crypto does not expose. */
export interface CertificateFields {
  /** The version's name: 3 for version 3, which is encoded as 2. */
  readonly version: number;
  readonly subject: Name;
  readonly extensions: readonly Extension[];
}

const PARSED = new WeakMap<X509Certificate, CertificateFields>();

/** Parses each X509Certificate object once. @throws Error */
export function parseCertificate(certificate: X509Certificate): CertificateFields {
  const parsed = PARSED.get(certificate) ?? parseFields(certificate);
  PARSED.set(certificate, parsed);
  return parsed;
}

/** The object identifier of an extension that the certificate has twice, which RFC 5280 §4.2 forbids. */
export function findRepeatedExtension({ extensions }: CertificateFields): string | undefined {
  const oids = extensions.map(({ extnID }) => extnID);
  return oids.find((oid, index) => oids.indexOf(oid) < index);
}

function parseFields({ raw }: X509Certificate): CertificateFields {
  const { version, subject, extensions } = AsnConvert.parse(raw, Certificate).tbsCertificate;
  return { version: version + 1, subject, extensions: [...(extensions ?? [])] };
}
