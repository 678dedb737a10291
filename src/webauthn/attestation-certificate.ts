import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, type Extension, type Name } from '@peculiar/asn1-x509';
import { type CertificateFields, parseCertificate } from '../x509/parsed-certificate.js';
import { Refusal, refuseUnless } from './refusal.js';

const V3 = 3;
const BASIC_CONSTRAINTS = '2.5.29.19';
const ID_FIDO_GEN_CE_AAGUID = '1.3.6.1.4.1.45724.1.1.4';

/** @throws Refusal attestation-invalid */
export function readCertificate(certificate: X509Certificate): CertificateFields {
  try {
    return parseCertificate(certificate);
  } catch {
    throw new Refusal('attestation-invalid', 'x5c holds a certificate that cannot be read');
  }
}

/** Checks the requirements that §8.2.1 and §8.3.1 share. @throws Refusal attestation-invalid */
export function demandAttestationLeaf(fields: CertificateFields, aaguid: string): void {
  const { version, extensions } = fields;
  refuseUnless(
    version === V3,
    'attestation-invalid',
    `the attestation certificate has version ${String(version)}, not 3`,
  );
  const authority = readExtension(fields, BASIC_CONSTRAINTS, BasicConstraints)?.cA === true;
  refuseUnless(!authority, 'attestation-invalid', 'the attestation certificate belongs to an authority (cA is true)');
  demandAaguid(extensions, aaguid);
}

/** If the certificate names a model, the authenticator data must name the same one. */
function demandAaguid(extensions: readonly Extension[], aaguid: string): void {
  const named = extensions.filter(({ extnID }) => extnID === ID_FIDO_GEN_CE_AAGUID);
  refuseUnless(named.length < 2, 'attestation-invalid', 'the attestation certificate names its model twice');
  const [extension] = named;
  if (!extension) return;
  refuseUnless(
    !extension.critical,
    'attestation-invalid',
    'the attestation certificate’s extension for the AAGUID is critical',
  );
  const value = getExtensionBytes(extension).toString('hex');
  const [, ...parts] = /^0410(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(value) ?? [];
  const model = parts.length > 0 ? `the model ${parts.join('-')}` : 'a model that cannot be read';
  const detail = `the attestation certificate is for ${model}, but the authenticator says that it is ${aaguid}`;
  refuseUnless(parts.join('-') === aaguid, 'attestation-invalid', detail);
}

export function findExtension(extensions: readonly Extension[], oid: string): Extension | undefined {
  return extensions.find(({ extnID }) => extnID === oid);
}

/** @returns undefined if the certificate lacks the extension. @throws Refusal attestation-invalid */
export function readExtension<T>({ extensions }: CertificateFields, oid: string, type: new () => T): T | undefined {
  const extension = findExtension(extensions, oid);
  try {
    return extension && AsnConvert.parse(getExtensionBytes(extension), type);
  } catch {
    throw new Refusal('attestation-invalid', `the attestation certificate’s extension ${oid} cannot be read`);
  }
}

/** The DER of an extension’s value. */
export function getExtensionBytes({ extnValue }: Extension): Buffer {
  return Buffer.from(extnValue.buffer);
}

/**
 * The values of the attribute with this object identifier, which may be in a set of its own or with other attributes.
 */
export function listAttributes(name: Name, oid: string): string[] {
  return [...name].flatMap((set) => [...set].filter(({ type }) => type === oid).map(({ value }) => value.toString()));
}
