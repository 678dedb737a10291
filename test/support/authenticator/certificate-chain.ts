import 'reflect-metadata';
import { KeyObject, sign, webcrypto, X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate, SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import * as x509 from '@peculiar/x509';

/** A certificate with its private key, which can sign other certificates. */
export interface Issued {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly privateKey: KeyObject;
  readonly keys: webcrypto.CryptoKeyPair;
}

export type KeyAlgorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | { name: 'Ed25519' };

/** The contents of a certificate. An absent member is as an honest issuer makes it. */
export interface Profile {
  subject?: string;
  /** The serial number in hexadecimal. */
  serialNumber?: string;
  /** The name of the issuer in the certificate, whoever signs it. */
  issuer?: string;
  ca?: boolean;
  pathLength?: number;
  keyUsage?: x509.KeyUsageFlags;
  notBefore?: Date;
  notAfter?: Date;
  extensions?: x509.Extension[];
  keys?: webcrypto.CryptoKeyPair;
  key?: KeyAlgorithm;
  /** The hash of the signature. */
  hash?: 'SHA-1' | 'SHA-256';
}

export const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const DAY_MS = 86_400_000;
const { KeyUsageFlags } = x509;

x509.cryptoProvider.set(webcrypto);

export const generateKeys = (key: KeyAlgorithm = P256): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(key, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

/** @param by the signer; by default the certificate signs itself */
export async function issue(profile: Profile = {}, by?: Issued): Promise<Issued> {
  const keys = profile.keys ?? (await generateKeys(profile.key));
  const signer = by?.keys ?? keys;
  const ca = profile.ca ?? false;
  const subject = profile.subject ?? `CN=${ca ? 'Authority' : 'Leaf'}`;
  const issuerName = by && new x509.X509Certificate(new Uint8Array(by.certificate.raw)).subject;
  const usage = profile.keyUsage ?? (ca ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature);
  const certificate = await x509.X509CertificateGenerator.create({
    ...(profile.serialNumber === undefined ? {} : { serialNumber: profile.serialNumber }),
    subject,
    issuer: profile.issuer ?? issuerName ?? subject,
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: { ...signer.privateKey.algorithm, hash: profile.hash ?? 'SHA-256' },
    notBefore: profile.notBefore ?? new Date(Date.now() - DAY_MS),
    notAfter: profile.notAfter ?? new Date(Date.now() + 365 * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(ca, profile.pathLength, true),
      new x509.KeyUsagesExtension(usage, true),
      ...(profile.extensions ?? []),
    ],
  });
  const pem = `${certificate.toString('pem')}\n`;
  return { certificate: new X509Certificate(pem), pem, privateKey: KeyObject.from(keys.privateKey), keys };
}

/**
 * Issues the certificate again for a key that neither WebCrypto nor this generator makes.
 *
 * @param spki the key's SubjectPublicKeyInfo in DER
 */
export function reissueForKey(
  { certificate }: Issued,
  by: Issued,
  privateKey: KeyObject,
  spki: Buffer,
): Pick<Issued, 'certificate' | 'privateKey'> {
  const parsed = AsnConvert.parse(certificate.raw, Certificate);
  const { tbsCertificate } = parsed;
  tbsCertificate.subjectPublicKeyInfo = AsnConvert.parse(spki, SubjectPublicKeyInfo);
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), by.privateKey);
  const { signatureAlgorithm } = parsed;
  const der = AsnConvert.serialize(
    new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue: new Uint8Array(signature).buffer }),
  );
  return { certificate: new X509Certificate(Buffer.from(der)), privateKey };
}
