import 'reflect-metadata';
import { type X509Certificate, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate revocation list (RFC 5280 §5). */
export interface RevocationList {
  /** Distinguished name of the authority whose certificates it lists, as DER in hexadecimal. */
  readonly issuer: string;
  readonly number: bigint | undefined;
  readonly thisUpdate: Date;
  /** undefined: the list does not say, which RFC 5280 §5.1.2.5 forbids. */
  readonly nextUpdate: Date | undefined;
  /** How many certificates it revokes. */
  readonly size: number;
  /** @param serialNumber hexadecimal, as X509Certificate has it */
  revokes(serialNumber: string): boolean;
  /** Whether the authority's name and key made the list. */
  isOf(authority: X509Certificate): Promise<boolean>;
}

const PEM_BLOCK = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g;
const CRL_NUMBER = '2.5.29.20';
const REMOVE_FROM_CRL = x509.X509CrlReason.removeFromCRL;

/** @throws Error when a list cannot be parsed */
export function parseRevocationLists(pem: string): RevocationList[] {
  return (pem.match(PEM_BLOCK) ?? []).map((block) => revocationList(new x509.X509Crl(block)));
}

function revocationList(crl: x509.X509Crl): RevocationList {
  const revoked = new Set(
    crl.entries.filter(({ reason }) => reason !== REMOVE_FROM_CRL).map(({ serialNumber }) => serialOf(serialNumber)),
  );
  const issuer = nameOf(crl.issuerName);
  return {
    ...{ issuer, number: numberOf(crl), thisUpdate: crl.thisUpdate, nextUpdate: crl.nextUpdate, size: revoked.size },
    revokes: (serialNumber) => revoked.has(serialOf(serialNumber)),
    isOf: async (authority) => {
      const certificate = new x509.X509Certificate(new Uint8Array(authority.raw));
      if (nameOf(certificate.subjectName) !== issuer) return false;
      return crl.verify({ publicKey: await certificate.publicKey.export(webcrypto) }, webcrypto).catch(() => false);
    },
  };
}

/** The distinguished name of a certificate's issuer, comparable with a list's. */
export function issuerOf(certificate: X509Certificate): string {
  return nameOf(new x509.X509Certificate(new Uint8Array(certificate.raw)).issuerName);
}

function nameOf(name: x509.Name): string {
  return Buffer.from(name.toArrayBuffer()).toString('hex');
}

/** Without leading zeros, which one tool writes and another leaves out. */
function serialOf(serialNumber: string): string {
  return serialNumber.toLowerCase().replace(/^0+(?=.)/, '');
}

function numberOf(crl: x509.X509Crl): bigint | undefined {
  const value = crl.extensions.find(({ type }) => type === CRL_NUMBER)?.value;
  if (!value) return undefined;
  const der = Buffer.from(value);
  const digits = der.subarray(2).toString('hex');
  return der[0] === 0x02 && digits !== '' ? BigInt(`0x${digits}`) : undefined;
}
