import { X509Certificate } from 'node:crypto';
import { type DerElement, readWholeSequence } from '../../src/x509/der.js';
import { encodeElement } from './revocation-lists.js';

/** The orders of the curves (SP 800-186 §3.2.1). */
const ORDERS: Readonly<Record<string, bigint>> = {
  prime256v1: BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  secp384r1: BigInt(`0x${'f'.repeat(48)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`),
  secp521r1: BigInt(`0x1${'f'.repeat(64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`),
};

/** Makes the same certificate with the signature (r, n − s), as anyone can without the key. */
export function makeTwin({ raw }: X509Certificate, issuer: X509Certificate): X509Certificate {
  const [signed, algorithm, bits] = readWholeSequence(raw) as [DerElement, DerElement, DerElement];
  const signature = raw.subarray(bits.content + 1, bits.end);
  const [r, s] = readWholeSequence(signature) as [DerElement, DerElement];
  const order = ORDERS[issuer.publicKey.asymmetricKeyDetails?.namedCurve ?? '']!;
  const turned = (order - BigInt(`0x${signature.toString('hex', s.content, s.end)}`)).toString(16);
  const digits = turned.padStart(turned.length + (turned.length % 2), '0');
  const integer = encodeElement(0x02, Buffer.from(/^[89a-f]/.test(digits) ? `00${digits}` : digits, 'hex'));
  const turnedSignature = encodeElement(0x30, signature.subarray(r.start, r.end), integer);
  const bitString = encodeElement(0x03, Buffer.from([0]), turnedSignature);
  return new X509Certificate(encodeElement(0x30, raw.subarray(signed.start, algorithm.end), bitString));
}
