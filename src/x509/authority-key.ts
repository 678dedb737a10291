import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import {
  readChildren,
  makeContextTag,
  DER,
  type DerElement,
  readElement,
  expectTag,
  formatInteger,
  readWholeSequence,
  stripLeadingZeros,
} from './der.js';

/**
 * AuthorityKeyIdentifier, RFC 5280 §4.2.1.1: identifies a key, or the certificate of a key. All members are
 * hexadecimal.
 */
export interface AuthorityKey {
  readonly keyId: string | undefined;
  /** The issuer of the authority's certificate, as DER. */
  readonly issuer: string | undefined;
  /** The serial number of the authority's certificate. */
  readonly serialNumber: string | undefined;
}

/** The tags of the members, which are implicit, and of a directoryName among GeneralNames. */
const [KEY_ID, ISSUER, SERIAL_NUMBER, DIRECTORY_NAME] = [0x80, makeContextTag(1), 0x82, makeContextTag(4)];

/** @param value the extension's OCTET STRING @throws Error when it is malformed */
export function readAuthorityKey(der: Buffer, value: DerElement): AuthorityKey {
  const members = readChildren(der, expectTag(readElement(der, value.content, value.end), DER.sequence));
  const find = (tag: number): DerElement | undefined => members.find((member) => member.tag === tag);
  const [keyId, issuer, serialNumber] = [find(KEY_ID), find(ISSUER), find(SERIAL_NUMBER)];
  const name = issuer && readChildren(der, issuer).find(({ tag }) => tag === DIRECTORY_NAME);
  return {
    keyId: keyId && der.toString('hex', keyId.content, keyId.end),
    issuer: name && der.toString('hex', name.content, name.end),
    serialNumber: serialNumber && formatInteger(der, serialNumber),
  };
}

/**
 * Returns true if the identifier fits this edition of the authority's certificate. A part that either of them lacks
 * fits.
 */
export function isKeyOf(key: AuthorityKey | undefined, authority: X509Certificate): boolean {
  if (!key) return true;
  const { keyId, issuer, serialNumber } = key;
  const subjectKeyId = readSubjectKeyId(authority);
  if (keyId !== undefined && subjectKeyId !== undefined && keyId !== subjectKeyId) return false;
  if (issuer !== undefined && issuer !== readDistinguishedNames(authority).issuer) return false;
  return serialNumber === undefined || serialNumber === stripLeadingZeros(authority.serialNumber.toLowerCase());
}

/** Returns the subject key identifier in lower-case hexadecimal. */
export function readSubjectKeyId({ raw }: X509Certificate): string | undefined {
  return new x509.X509Certificate(new Uint8Array(raw)).getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
}

/**
 * Returns the distinguished names of a certificate as DER in hexadecimal, so that they compare with those of a
 * revocation list.
 */
export function readDistinguishedNames({ raw }: X509Certificate): {
  readonly issuer: string;
  readonly subject: string;
} {
  const members = readChildren(raw, expectTag(readWholeSequence(raw)[0], DER.sequence));
  const offset = members[0]?.tag === makeContextTag(0) ? 1 : 0;
  const name = (index: number): string => {
    const { start, end } = expectTag(members[offset + index], DER.sequence);
    return raw.toString('hex', start, end);
  };
  return { issuer: name(2), subject: name(4) };
}

/** Formats a distinguished name (DER in hexadecimal) as text in quotation marks. */
export function describeName(name: string): string {
  return `"${new x509.Name(Buffer.from(name, 'hex')).toString()}"`;
}
