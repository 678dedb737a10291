import 'reflect-metadata';
import { X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { DEVELOPMENT_CA_NAME } from '../src/config/development.js';

x509.cryptoProvider.set(webcrypto);

const DAY_MS = 86_400_000;
const CA_DAYS = 3_650;
const LEAF_DAYS = 397;
const RENEW_DAYS = 30;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** The certificate authority of a development machine. It makes mutual TLS real from the first start. */
export class DevelopmentCa {
  readonly keyPem: string;
  private readonly certificate: x509.X509Certificate;
  private readonly key: CryptoKey;

  private constructor(certificate: x509.X509Certificate, key: CryptoKey, keyPem: string) {
    this.certificate = certificate;
    this.key = key;
    this.keyPem = keyPem;
  }

  static async create(): Promise<DevelopmentCa> {
    const keys = await generateKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: DEVELOPMENT_CA_NAME,
      ...makeValidity(CA_DAYS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new DevelopmentCa(certificate, keys.privateKey, await exportKeyPem(keys.privateKey));
  }

  static async load(certificatePem: string, keyPem: string): Promise<DevelopmentCa> {
    const der = x509.PemConverter.decodeFirst(keyPem);
    const key = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, true, ['sign']);
    return new DevelopmentCa(new x509.X509Certificate(certificatePem), key, keyPem);
  }

  get certificatePem(): string {
    return `${this.certificate.toString('pem')}\n`;
  }

  /** Issues an X.509-SVID: one URI SAN, client authentication only (SPIFFE X509-SVID §4). */
  issueService(spiffeId: string): Promise<IssuedCertificate> {
    return this.issue(
      spiffeId.slice(spiffeId.lastIndexOf('/') + 1),
      [{ type: 'url', value: spiffeId }],
      [x509.ExtendedKeyUsage.clientAuth],
    );
  }

  issueServer(): Promise<IssuedCertificate> {
    const names: x509.JsonGeneralNames = [
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
      { type: 'ip', value: '::1' },
    ];
    return this.issue('localhost', names, [x509.ExtendedKeyUsage.serverAuth]);
  }

  /** @param revoked serial numbers in hexadecimal */
  async issueRevocationList(revoked: readonly string[] = []): Promise<string> {
    const now = new Date();
    const crl = await x509.X509CrlGenerator.create({
      issuer: this.certificate.subject,
      thisUpdate: new Date(now.getTime() - 60_000),
      nextUpdate: new Date(now.getTime() + LEAF_DAYS * DAY_MS),
      entries: revoked.map((serial) => ({ serialNumber: serial, revocationDate: now })),
      signingAlgorithm: ALGORITHM,
      signingKey: this.key,
    });
    return `${x509.PemConverter.encode(crl.rawData, 'X509 CRL')}\n`;
  }

  isCrlExpiringSoon(crlPem: string): boolean {
    const nextUpdate = new x509.X509Crl(crlPem).nextUpdate;
    return !nextUpdate || nextUpdate.getTime() < Date.now() + RENEW_DAYS * DAY_MS;
  }

  private async issue(name: string, san: x509.JsonGeneralNames, usages: string[]): Promise<IssuedCertificate> {
    const keys = await generateKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=${name}`,
      issuer: this.certificate.subject,
      ...makeValidity(LEAF_DAYS),
      publicKey: keys.publicKey,
      signingKey: this.key,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        new x509.SubjectAlternativeNameExtension(san),
        await x509.AuthorityKeyIdentifierExtension.create(this.certificate),
      ],
    });
    return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: await exportKeyPem(keys.privateKey) };
  }
}

/** Reports whether a certificate expires within 30 days. */
export function isExpiringSoon(certificate: Buffer): boolean {
  return new NodeCertificate(certificate).validToDate.getTime() < Date.now() + RENEW_DAYS * DAY_MS;
}

/** Generates a serial number as RFC 5280 §4.1.2.2 wants it: positive, at most 20 octets, not guessable. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function makeValidity(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 60_000), notAfter: new Date(now + days * DAY_MS) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKeyPem(key: CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}
