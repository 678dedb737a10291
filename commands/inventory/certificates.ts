import 'reflect-metadata';
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { findPemBlocks } from '../../src/x509/pem.js';
import { parseRevocationLists } from '../../src/x509/revocation-list.js';
import { type PostQuantum, classifyPostQuantum } from './algorithms.js';

/** A certificate or a revocation list. */
export interface Signed {
  readonly what: string;
  readonly where: string;
  /** The authority whose certificates a revocation list covers. */
  readonly subject: string;
  readonly issuer: string;
  /** The serial number of a certificate, or the number of a revocation list if it has one. */
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly daysLeft: number;
  readonly signature: string;
  /** The key of a certificate, or how many certificates a revocation list revokes. */
  readonly holds: string;
  /** Lower-case hexadecimal SHA-256 of the DER. */
  readonly fingerprint: string;
  readonly postQuantum: PostQuantum;
}

const DAY_MS = 86_400_000;

/** Describes the certificates in a file. @throws Error when one cannot be parsed */
export function describeCertificates(pem: string, what: string, where: string, now: Date): Signed[] {
  return findPemBlocks(pem, '(?:TRUSTED |X509 )?CERTIFICATE').map((block) => {
    const certificate = new X509Certificate(block);
    const { algorithm, size } = describeKey(certificate.publicKey);
    const signature = certificate.signatureAlgorithm ?? 'unknown';
    return {
      what,
      where,
      subject: joinLines(certificate.subject),
      issuer: joinLines(certificate.issuer),
      serial: certificate.serialNumber.toLowerCase(),
      ...describeValidity(certificate.validFromDate, certificate.validToDate, now),
      signature,
      holds: `${algorithm}, ${size}`,
      fingerprint: sha256(certificate.raw),
      postQuantum: classifyPostQuantum(algorithm),
    };
  });
}

/** Describes the revocation lists in a file. @throws Error when one cannot be parsed */
export async function describeRevocationLists(pem: string, what: string, where: string, now: Date): Promise<Signed[]> {
  const lists = await parseRevocationLists(pem);
  return lists.map(({ issuer, number, size, signature: { name, hash }, der, ...list }) => {
    const authority = new x509.Name(Buffer.from(issuer, 'hex')).toString();
    return {
      what,
      where,
      subject: authority,
      issuer: authority,
      serial: number?.toString(16) ?? '',
      ...describeValidity(list.thisUpdate, list.nextUpdate ?? new Date(0), now),
      signature: hash ? `${name} with ${hash}` : name,
      holds: `${String(size)} revoked`,
      fingerprint: sha256(der),
      postQuantum: classifyPostQuantum(name),
    };
  });
}

/** Names the algorithm and the size of a key in the usual units of key length. */
export function describeKey(key: KeyObject): { algorithm: string; size: string } {
  const { asymmetricKeyType: type = '', asymmetricKeyDetails: { modulusLength, namedCurve } = {} } = key;
  if (type === 'ec') return { algorithm: 'EC', size: CURVES[namedCurve ?? ''] ?? namedCurve ?? '' };
  if (modulusLength) return { algorithm: type.toUpperCase(), size: `${String(modulusLength)} bit` };
  if (type === 'ed25519' || type === 'ed448') return { algorithm: type.replace('ed', 'Ed'), size: EDWARDS[type] };
  const bytes = key.export({ type: 'spki', format: 'der' }).length - SPKI_HEADER_BYTES;
  return { algorithm: type.toUpperCase(), size: `${String(bytes)} bytes` };
}

/** The length of a SubjectPublicKeyInfo before the bytes of a lattice-based public key (RFC 9881 §4). */
const SPKI_HEADER_BYTES = 22;
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };
const EDWARDS = { ed25519: '256 bit', ed448: '456 bit' } as const;

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function describeValidity(from: Date, to: Date, now: Date): Pick<Signed, 'notBefore' | 'notAfter' | 'daysLeft'> {
  return {
    notBefore: from.toISOString(),
    notAfter: to.toISOString(),
    daysLeft: Math.floor((to.getTime() - now.getTime()) / DAY_MS),
  };
}

function joinLines(name: string): string {
  return name.replaceAll('\n', ', ');
}
