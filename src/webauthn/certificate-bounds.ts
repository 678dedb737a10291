import type { KeyObject } from 'node:crypto';
import { DER, expectTag, makeContextTag, readBerElement, readChildren, readElement } from '../x509/der.js';
import { Refusal, refuseUnless } from './refusal.js';

/**
 * Limits of an x5c. ASN.1 parsers build an object for each element, and a registration runs several parsers. So this
 * file first measures the certificates by their headers alone. Certificates from real authenticators have up to 2 KB,
 * 12 extensions and 150 elements.
 */
export const MAX_CERTIFICATES = 8;
export const MAX_CERTIFICATE_BYTES = 8_192;
export const MAX_EXTENSIONS = 64;
export const MAX_CERTIFICATE_ELEMENTS = 512;
/** The limit for all certificates together. */
export const MAX_CHAIN_ELEMENTS = 1_024;

/** The key types of node:crypto that a certificate of x5c may have. */
const KEY_TYPES = new Set(['rsa', 'rsa-pss', 'ec', 'ed25519', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']);
const MAX_RSA_BITS = 4_096;

const CONSTRUCTED = 0x20;
/** `[3] EXPLICIT`, the extensions of a TBSCertificate (RFC 5280 §4.1). */
const EXTENSIONS = makeContextTag(3);

/** @throws Refusal attestation-invalid when x5c is not a list of certificates within the limits */
export function readBoundedChain(x5c: unknown): readonly Uint8Array[] {
  refuseUnless(
    Array.isArray(x5c) && x5c.length > 0,
    'attestation-invalid',
    'x5c of the attestation statement is not a list of certificates',
  );
  refuseUnless(
    x5c.length <= MAX_CERTIFICATES,
    'attestation-invalid',
    `x5c has ${String(x5c.length)} certificates, more than ${String(MAX_CERTIFICATES)}`,
  );
  let elements = 0;
  for (const [index, der] of x5c.entries()) {
    const name = `x5c[${String(index)}]`;
    refuseUnless(der instanceof Uint8Array, 'attestation-invalid', `${name} is not a byte string`);
    const size = `${name} has ${String(der.length)} bytes, more than ${String(MAX_CERTIFICATE_BYTES)}`;
    refuseUnless(der.length <= MAX_CERTIFICATE_BYTES, 'attestation-invalid', size);
    elements += measureCertificate(Buffer.from(der.buffer, der.byteOffset, der.length), name);
  }
  refuseUnless(elements <= MAX_CHAIN_ELEMENTS, 'attestation-invalid', 'the certificates of x5c have too many elements');
  return x5c as Uint8Array[];
}

/**
 * Demands a key of bounded cost. A DSA signature, or an RSA signature with a long modulus or exponent, takes many times
 * as long to verify as any other.
 *
 * @throws Refusal attestation-invalid
 */
export function demandBoundedKey({ asymmetricKeyType: type, asymmetricKeyDetails }: KeyObject): void {
  refuseUnless(
    KEY_TYPES.has(String(type)),
    'attestation-invalid',
    `a certificate of x5c has a key of the type ${String(type)}`,
  );
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {};
  const bounded = modulusLength <= MAX_RSA_BITS && publicExponent < 2n ** 32n;
  refuseUnless(
    bounded,
    'attestation-invalid',
    `a certificate of x5c has an RSA key with a longer modulus or exponent than any in use`,
  );
}

/** @returns the number of elements. @throws Refusal */
function measureCertificate(der: Buffer, name: string): number {
  const counter = { elements: 0 };
  try {
    const oids = listExtensions(der);
    refuseUnless(
      oids.length <= MAX_EXTENSIONS,
      'attestation-invalid',
      `${name} has ${String(oids.length)} extensions, more than ${String(MAX_EXTENSIONS)}`,
    );
    refuseUnless(new Set(oids).size === oids.length, 'attestation-invalid', `${name} has an extension twice`);
    countElements(der, 0, der.length, counter);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal('attestation-invalid', `${name} is not a certificate in DER`);
  }
  return counter.elements;
}

/**
 * The object identifiers of the extensions, in hexadecimal. A certificate has none of them twice (RFC 5280 §4.2), because
 * readers disagree on which one counts. An element of indefinite length could hide the others, so it is refused here.
 *
 * @throws Error
 */
function listExtensions(der: Buffer): string[] {
  const [tbs] = readChildren(der, readElement(der, 0, der.length));
  const extensions = readChildren(der, expectTag(tbs, DER.sequence)).find(({ tag }) => tag === EXTENSIONS);
  if (!extensions) return [];
  return readChildren(der, readElement(der, extensions.content, extensions.end)).map((extension) => {
    const oid = expectTag(readChildren(der, extension)[0], DER.objectIdentifier);
    return der.toString('hex', oid.content, oid.end);
  });
}

/** @throws Refusal when a certificate has too many; RangeError when the bytes are not BER */
function countElements(der: Buffer, from: number, to: number, counter: { elements: number }): void {
  for (let at = from; at < to;) {
    const { tag, content, end } = readBerElement(der, at, to);
    counter.elements += 1;
    const few = counter.elements <= MAX_CERTIFICATE_ELEMENTS;
    refuseUnless(few, 'attestation-invalid', 'a certificate of x5c has too many elements');
    if (tag & CONSTRUCTED) countElements(der, content, end, counter);
    else if (tag === DER.octetString) countInside(der, content, end, counter);
    else if (tag === DER.bitString) countInside(der, content + 1, end, counter);
    at = end;
  }
}

/** Counts the elements inside a string: parsers read its content as far as it is BER. */
function countInside(der: Buffer, from: number, to: number, counter: { elements: number }): void {
  try {
    countElements(der, from, to, counter);
  } catch (error) {
    if (error instanceof Refusal) throw error;
  }
}
