import { readChildren, DER, type DerElement, readElement, expectTag } from './der.js';

export interface Extension {
  /** The object identifier as DER in hexadecimal. */
  readonly identifier: string;
  readonly isCritical: boolean;
  /** The OCTET STRING of the extension. */
  readonly value: DerElement;
}

/** Reads an Extension (RFC 5280 §4.1). @throws Error when it is malformed */
export function readExtension(der: Buffer, extension: DerElement): Extension {
  const [identifier, ...rest] = readChildren(der, expectTag(extension, DER.sequence));
  const { content, end } = expectTag(identifier, DER.objectIdentifier);
  return {
    identifier: der.toString('hex', content, end),
    isCritical: rest.length > 1 && der[rest[0]!.content] !== 0,
    value: expectTag(rest.at(-1), DER.octetString),
  };
}

const CERTIFICATE_ISSUER = '551d1d';
/** The bytes before the reason in the usual entry, whose only extension is a reasonCode (RFC 5280 §5.3.1). */
const REASON_ALONE = Buffer.from('300c300a0603551d1504030a01', 'hex');

/**
 * Refuses an entry for a certificate of another issuer, and an entry with a critical extension. OpenSSL knows no
 * critical extension of entries, and would refuse the whole list (RFC 5280 §5.3).
 *
 * @param start the offset of the extensions of the entry, if it has any
 * @throws Error
 */
export function demandPlainEntry(der: Buffer, start: number, end: number): void {
  if (start === end) return;
  if (end - start === REASON_ALONE.length + 1 && REASON_ALONE.compare(der, start, end - 1) === 0) return;
  const extensions = expectTag(readElement(der, start, end), DER.sequence);
  if (extensions.end !== end) throw new Error('malformed DER');
  for (const extension of readChildren(der, extensions)) {
    const { identifier, isCritical } = readExtension(der, extension);
    if (identifier === CERTIFICATE_ISSUER) throw new Error('it is indirect: an entry names another issuer');
    if (isCritical) throw new Error('an entry has a critical extension');
  }
}
