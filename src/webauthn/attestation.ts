/**
 * The parts that the verifiers of the attestation statement formats share (WebAuthn L3 §8): what they get, what they
 * return, and the reading of an attestation certificate. attestation-statement.ts chooses the verifier of a format, and
 * attestation-trust.ts decides on the trust in its certificates.
 */
import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, type Extension, type Name } from '@peculiar/asn1-x509';
import { type CertificateFields, parseCertificate } from '../x509/parsed-certificate.js';
import type { AttestedCredentialData } from './authenticator-data.js';
import { Refusal, refuseUnless } from './refusal.js';

/** The decoded attStmt. Members that its format does not define are ignored. */
export type Statement = ReadonlyMap<unknown, unknown>;

/** A statement and the values that it may attest (WebAuthn L3 §8). */
export interface Attestation {
  readonly statement: Statement;
  /** x5c, leaf first; empty for `none` and self attestation. */
  readonly certificates: readonly X509Certificate[];
  readonly credential: AttestedCredentialData;
  /** The COSE algorithm of the credential key. */
  readonly algorithm: number;
  readonly rpIdHash: Buffer;
  readonly authData: Buffer;
  readonly clientDataHash: Buffer;
}

/** The reason not to trust an attestation that is true. The metric has the same closed list of codes. */
export interface Distrust {
  readonly code: 'root-unknown' | 'not-valid-now' | 'path-invalid' | 'sha1' | 'unguarded' | 'aaguid-unsigned';
  /** Tells a person what was received, what was expected and what to do. */
  readonly detail: string;
}

/** The authenticator data followed by the client data hash: most statements sign these bytes. */
export function getAttestedBytes({ authData, clientDataHash }: Attestation): Buffer {
  return Buffer.concat([authData, clientDataHash]);
}

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
  const extension = findExtension(extensions, ID_FIDO_GEN_CE_AAGUID);
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
