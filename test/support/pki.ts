import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { DevelopmentCa } from '../../dev/development-ca.js';
import type { ClientCertificate } from './client.js';

export const { KeyUsageFlags } = x509;

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
};
const DAY_MS = 86_400_000;

/** The properties of a certificate. By default they are those of auth-service's own. */
export interface CertificateProfile {
  uris: string[];
  /** DNS names. */
  names: string[];
  isRsa: boolean;
  notBefore: Date;
  notAfter: Date;
  ca: boolean;
  keyUsage: x509.KeyUsageFlags | null;
  extendedKeyUsage: string[] | null;
}

/** The development certificates of the service, and unusual ones by the same authority. */
export class Pki {
  readonly directory: string;
  private readonly revoked: string[] = [];

  constructor(directory: string) {
    this.directory = directory;
  }

  get ca(): string {
    return this.read('ca.crt');
  }

  certificateOf(identity: string): ClientCertificate {
    return { cert: this.read(`${identity}.crt`), key: this.read(`${identity}.key`) };
  }

  async issue(profile: Partial<CertificateProfile> = {}): Promise<ClientCertificate> {
    const authority = new x509.X509Certificate(this.ca);
    return issueCertificate(authority.subject, await this.signingKey(), profile);
  }

  /** Adds a certificate to the authority's revocation list. */
  async revoke({ cert }: ClientCertificate, directory = this.directory): Promise<void> {
    const ca = await DevelopmentCa.load(this.ca, this.read('ca.key'));
    this.revoked.push(new x509.X509Certificate(cert).serialNumber);
    writeFileSync(join(directory, 'ca.crl'), await ca.issueRevocationList(this.revoked));
  }

  private signingKey(): Promise<webcrypto.CryptoKey> {
    const key = x509.PemConverter.decodeFirst(this.read('ca.key'));
    return webcrypto.subtle.importKey('pkcs8', key, ES256, false, ['sign']);
  }

  private read(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }
}

/** Issues a certificate with the same names from an untrusted authority. */
export async function issueByStranger(profile: Partial<CertificateProfile> = {}): Promise<ClientCertificate> {
  const keys = await newKeys();
  return issueCertificate('CN=Passkey Manager development CA', keys.privateKey, profile);
}

async function issueCertificate(
  issuer: string,
  signingKey: webcrypto.CryptoKey,
  profile: Partial<CertificateProfile>,
): Promise<ClientCertificate> {
  x509.cryptoProvider.set(webcrypto);
  const {
    uris = ['spiffe://passkey-manager.local/auth-service'],
    notBefore = new Date(Date.now() - DAY_MS),
    notAfter = new Date(Date.now() + DAY_MS),
    ca = false,
    keyUsage = KeyUsageFlags.digitalSignature,
    extendedKeyUsage = [x509.ExtendedKeyUsage.clientAuth],
    names = [],
    isRsa = false,
  } = profile;
  const keys = await newKeys(isRsa ? RSA : ES256);
  const alternatives: x509.JsonGeneralNames = [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...names.map((value) => ({ type: 'dns' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: `40${randomBytes(8).toString('hex')}`,
    subject: 'CN=auth-service',
    issuer,
    notBefore,
    notAfter,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ES256,
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(keyUsage === null ? [] : [new x509.KeyUsagesExtension(keyUsage, true)]),
      ...(extendedKeyUsage === null ? [] : [new x509.ExtendedKeyUsageExtension(extendedKeyUsage)]),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}

const newKeys = (algorithm: typeof ES256 | typeof RSA = ES256): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
