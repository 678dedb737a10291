import { createHash, generateKeyPairSync, type X509Certificate } from 'node:crypto';
import { readChildren, DER, encodeDer, expectTag, formatInteger, readWholeSequence } from './der.js';
import { SvidError } from './svid.js';

/**
 * Computes the lower-case hexadecimal SHA-256 of a certificate's twin. ECDSA accepts (r, n − s) wherever it accepts (r,
 * s), so anyone can turn one certificate into another with the same names, key and serial number, but another
 * fingerprint. Only these two forms exist: the signature covers the rest, and OpenSSL gives it in DER.
 *
 * @param issuer the next certificate in the peer's chain
 * @returns undefined if ECDSA did not sign the certificate, so that it has no twin
 * @throws SvidError when ECDSA signed it, but not with the issuer's key
 */
export function computeTwinFingerprint(
  certificate: X509Certificate,
  issuer: X509Certificate | undefined,
): string | undefined {
  const [signed, algorithm, bits] = readWholeSequence(certificate.raw);
  if (!isEcdsa(certificate.raw.subarray(algorithm!.start, algorithm!.end))) return undefined;
  if (!issuer || !certificate.verify(issuer.publicKey)) throw new SvidError('the certificate’s issuer is not known');
  const { content, end } = expectTag(bits, DER.bitString);
  const signature = turnSignature(certificate.raw.subarray(content + 1, end), findCurveOrder(issuer));
  const twin = encodeDer(
    DER.sequence,
    certificate.raw.subarray(signed!.start, signed!.end),
    certificate.raw.subarray(algorithm!.start, algorithm!.end),
    encodeDer(DER.bitString, Buffer.from([0]), signature),
  );
  return createHash('sha256').update(twin).digest('hex');
}

/**
 * The AlgorithmIdentifiers of ecdsa-with-SHA1 and ecdsa-with-SHA2 (RFC 5758 §3.2), before the parameters, which are
 * absent or NULL.
 */
const ECDSA = [Buffer.from('06072a8648ce3d0401', 'hex'), Buffer.from('06082a8648ce3d0403', 'hex')];

const isEcdsa = (algorithm: Buffer): boolean =>
  ECDSA.some((identifier) => algorithm.subarray(2, 2 + identifier.length).equals(identifier));

/** Replaces s by n − s in an ECDSA-Sig-Value (RFC 3279 §2.2.3). */
function turnSignature(signature: Buffer, order: bigint): Buffer {
  const [r, s] = readWholeSequence(signature);
  const turned = order - BigInt(`0x${formatInteger(signature, expectTag(s, DER.integer))}`);
  return encodeDer(DER.sequence, signature.subarray(r!.start, r!.end), encodeDer(DER.integer, encodeUnsigned(turned)));
}

/** Encodes a positive INTEGER in the fewest octets, with the first bit 0 (X.690 §8.3). */
function encodeUnsigned(value: bigint): Buffer {
  const digits = value.toString(16);
  const octets = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  return octets[0]! < 0x80 ? octets : Buffer.concat([Buffer.from([0]), octets]);
}

const orders = new Map<string, bigint>();

/** Returns the order n of the curve of the issuer's key, as OpenSSL writes it into explicit parameters (SEC 1 §C.2). */
function findCurveOrder({ publicKey }: X509Certificate): bigint {
  const namedCurve = publicKey.asymmetricKeyDetails?.namedCurve;
  if (namedCurve === undefined) throw new SvidError('the certificate’s issuer has a key that is not on a named curve');
  let order = orders.get(namedCurve);
  if (order === undefined) {
    const publicKeyEncoding = { type: 'spki', format: 'der' } as const;
    const privateKeyEncoding = { type: 'pkcs8', format: 'der' } as const;
    const { publicKey: spki } = generateKeyPairSync('ec', {
      namedCurve,
      paramEncoding: 'explicit',
      publicKeyEncoding,
      privateKeyEncoding,
    });
    const [algorithm] = readWholeSequence(spki);
    const parameters = readChildren(spki, algorithm!)[1]!;
    order = BigInt(`0x${formatInteger(spki, expectTag(readChildren(spki, parameters)[4], DER.integer))}`);
    orders.set(namedCurve, order);
  }
  return order;
}
