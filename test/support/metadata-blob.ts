import 'reflect-metadata';
import { KeyObject, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RS256 = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2_048,
};
const DAY_MS = 86_400_000;

/** The members of a BLOB's entry that the service reads. */
export interface MetadataEntry {
  aaguid?: unknown;
  metadataStatement?: unknown;
  statusReports?: unknown;
}

export interface BlobProfile {
  no: unknown;
  nextUpdate: unknown;
  entries: unknown;
  /** Members of the header to replace or add; `undefined` removes one. */
  header: Record<string, unknown>;
}

export interface SignerProfile {
  algorithm: 'ES256' | 'RS256';
  subject: string;
  dnsNames: string[];
  ca: boolean;
  notBefore: Date;
  notAfter: Date;
  /** Properties of the authority between the signer and the root. */
  authority: { ca?: boolean; pathLength?: number };
}

/** Signs BLOBs as FIDO does. */
export interface MetadataSigner {
  /** The leaf and the authority that issued it. */
  readonly x5c: readonly string[];
  blob(profile?: Partial<BlobProfile>): string;
}

export const dayFromNow = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);

/** A fake FIDO with its own root, and signers whose chains lead to it. */
export class MetadataAuthority {
  private constructor(
    readonly rootPem: string,
    private readonly root: x509.X509Certificate,
    private readonly rootKey: webcrypto.CryptoKey,
  ) {}

  static async create(): Promise<MetadataAuthority> {
    x509.cryptoProvider.set(webcrypto);
    const keys = await webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...validity(365),
      name: 'CN=Made-up Root',
      keys,
      signingAlgorithm: ES256,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    return new MetadataAuthority(root.toString('pem'), root, keys.privateKey);
  }

  async signer(profile: Partial<SignerProfile> = {}): Promise<MetadataSigner> {
    const { algorithm = 'ES256', authority = {} } = profile;
    const authorityKeys = await webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);
    const issuer = await x509.X509CertificateGenerator.create({
      ...validity(100),
      subject: 'CN=Made-up Authority',
      issuer: this.root.subject,
      publicKey: authorityKeys.publicKey,
      signingKey: this.rootKey,
      signingAlgorithm: ES256,
      extensions: [new x509.BasicConstraintsExtension(authority.ca ?? true, authority.pathLength, true)],
    });
    const keys = await webcrypto.subtle.generateKey(algorithm === 'ES256' ? ES256 : RS256, true, ['sign', 'verify']);
    const { dnsNames = ['mds.fidoalliance.org'] } = profile;
    const leaf = await x509.X509CertificateGenerator.create({
      subject: profile.subject ?? 'CN=mds.fidoalliance.org',
      issuer: issuer.subject,
      notBefore: profile.notBefore ?? validity(1).notBefore,
      notAfter: profile.notAfter ?? validity(30).notAfter,
      publicKey: keys.publicKey,
      signingKey: authorityKeys.privateKey,
      signingAlgorithm: ES256,
      extensions: [
        new x509.BasicConstraintsExtension(profile.ca ?? false, undefined, true),
        ...(dnsNames.length === 0 ? [] : [alternativeNames(dnsNames)]),
      ],
    });
    const x5c = [leaf, issuer].map(({ rawData }) => Buffer.from(rawData).toString('base64'));
    const key = KeyObject.from(keys.privateKey);
    return { x5c, blob: (blob = {}) => jws({ typ: 'JWT', alg: algorithm, x5c, ...blob.header }, payloadOf(blob), key) };
  }
}

function payloadOf({ no = 1, nextUpdate = dayFromNow(30), entries = [] }: Partial<BlobProfile>): unknown {
  return { legalHeader: 'made up', no, nextUpdate, entries };
}

function jws(header: unknown, payload: unknown, key: KeyObject): string {
  const signed = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const alternativeNames = (names: string[]): x509.Extension =>
  new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })));

const validity = (days: number): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + days * DAY_MS),
});
