import { sign, type X509Certificate } from 'node:crypto';
import { toPem } from '../../src/x509/pem.js';
import { readDistinguishedNames } from '../../src/x509/authority-key.js';
import type { Issued } from './authenticator/certificate-chain.js';

/** The contents of a revocation list. An absent member is as an honest authority makes it. */
export interface ListProfile {
  /** The content octets of serial numbers, in hexadecimal. */
  serials?: readonly string[];
  /** Serial numbers with the reason removeFromCRL: the certificates are no longer on hold. */
  removed?: readonly string[];
  number?: number | null;
  thisUpdate?: Date;
  nextUpdate?: Date | null;
  hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  /** The authority whose name the list has as its issuer. */
  issuer?: X509Certificate;
  /** The object identifier of a critical extension, in hexadecimal. */
  critical?: string;
  /** Extensions beside the number, as DER. */
  extensions?: readonly Buffer[];
  /** The extensions of the entries in `serials`, as DER. */
  entryExtensions?: readonly Buffer[];
  /** Elements after the extensions, as DER. */
  tail?: Buffer;
}

const MINUTE_MS = 60_000;

/** Encodes a certificate's serial number as an entry has it: positive, in the fewest octets (X.690 §8.3.2). */
export const readSerial = ({ certificate: { serialNumber } }: Issued): string =>
  Number.parseInt(serialNumber.slice(0, 2), 16) < 0x80 ? serialNumber : `00${serialNumber}`;

/** Encodes the list itself, because most specs need lists that no library would make. */
export function makeRevocationList(by: Issued, profile: ListProfile = {}): string {
  return toListPem(encodeList(by, profile));
}

export const toListPem = (der: Buffer): string => toPem('X509 CRL', der);

export function encodeList(by: Issued, profile: ListProfile = {}): Buffer {
  const { serials = [], removed = [], number = 1, nextUpdate, hash = 'sha256', issuer, critical } = profile;
  const now = encodeTime(new Date(Date.now() - MINUTE_MS));
  const more = profile.entryExtensions ? [encodeElement(0x30, ...profile.entryExtensions)] : [];
  const entries = [
    ...serials.map((serial) => encodeElement(0x30, encodeInteger(serial), now, ...more)),
    ...removed.map((serial) => encodeElement(0x30, encodeInteger(serial), now, REMOVED)),
  ];
  const extensions = [
    ...(number === null ? [] : [encodeExtension('551d14', encodeInteger(makePositive(number.toString(16))))]),
    ...(critical === undefined ? [] : [encodeExtension(critical, encodeInteger('01'), true)]),
    ...(profile.extensions ?? []),
  ];
  const algorithm = encodeAlgorithm(by, hash);
  const signed = encodeElement(
    0x30,
    encodeInteger('01'),
    algorithm,
    Buffer.from(readDistinguishedNames(issuer ?? by.certificate).subject, 'hex'),
    encodeTime(profile.thisUpdate ?? new Date(Date.now() - MINUTE_MS)),
    nextUpdate === null ? EMPTY : encodeTime(nextUpdate ?? new Date(Date.now() + 60 * MINUTE_MS)),
    entries.length === 0 ? EMPTY : encodeElement(0x30, ...entries),
    extensions.length === 0 ? EMPTY : encodeElement(0xa0, encodeElement(0x30, ...extensions)),
    profile.tail ?? EMPTY,
  );
  const signature = sign(by.privateKey.asymmetricKeyType === 'ed25519' ? null : hash, signed, by.privateKey);
  return encodeElement(0x30, signed, algorithm, encodeElement(0x03, Buffer.from([0]), signature));
}

const EMPTY = Buffer.alloc(0);

/** Encodes an element (X.690 §8.1). */
export function encodeElement(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const digits = Buffer.from(padToOctets(content.length.toString(16)), 'hex');
  const length = content.length < 128 ? digits : Buffer.concat([Buffer.from([0x80 | digits.length]), digits]);
  return Buffer.concat([Buffer.from([tag]), length, content]);
}

const padToOctets = (hexadecimal: string): string =>
  hexadecimal.padStart(hexadecimal.length + (hexadecimal.length % 2), '0');
/** Makes a number positive, in the fewest octets (X.690 §8.3.2). */
const makePositive = (hexadecimal: string): string =>
  (/^[89a-f]/.test(padToOctets(hexadecimal)) ? '00' : '') + padToOctets(hexadecimal);
const encodeInteger = (hexadecimal: string): Buffer => encodeElement(0x02, Buffer.from(hexadecimal, 'hex'));
const encodeIdentifier = (hexadecimal: string): Buffer => encodeElement(0x06, Buffer.from(hexadecimal, 'hex'));
const REMOVED = encodeElement(
  0x30,
  encodeElement(0x30, encodeIdentifier('551d15'), encodeElement(0x04, encodeElement(0x0a, Buffer.from([8])))),
);

export const encodeExtension = (id: string, value: Buffer, critical = false): Buffer =>
  encodeElement(
    0x30,
    encodeIdentifier(id),
    critical ? encodeElement(0x01, Buffer.from([0xff])) : EMPTY,
    encodeElement(0x04, value),
  );

/** Encodes RFC 5280 §4.2.1.1. `keyId` is hexadecimal; the extension names the issuer and the serial number of `of`. */
export function encodeAuthorityKeyIdentifier({ keyId, of }: { keyId?: string; of?: Issued }): Buffer {
  const members = keyId === undefined ? [] : [encodeElement(0x80, Buffer.from(keyId, 'hex'))];
  if (of) {
    const issuer = Buffer.from(readDistinguishedNames(of.certificate).issuer, 'hex');
    members.push(
      encodeElement(0xa1, encodeElement(0xa4, issuer)),
      encodeElement(0x82, Buffer.from(readSerial(of), 'hex')),
    );
  }
  return encodeExtension('551d23', encodeElement(0x30, ...members));
}

/** Encodes a time (RFC 5280 §4.1.2.5). */
function encodeTime(date: Date): Buffer {
  const text = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return date.getUTCFullYear() < 2050
    ? encodeElement(0x17, Buffer.from(text.slice(2)))
    : encodeElement(0x18, Buffer.from(text));
}

const ALGORITHMS: Record<string, string> = {
  'ec sha1': '2a8648ce3d0401',
  'ec sha256': '2a8648ce3d040302',
  'ec sha384': '2a8648ce3d040303',
  'ec sha512': '2a8648ce3d040304',
  'rsa sha256': '2a864886f70d01010b',
  'rsa sha384': '2a864886f70d01010c',
  'rsa sha512': '2a864886f70d01010d',
};

function encodeAlgorithm({ privateKey }: Issued, hash: string): Buffer {
  const type = privateKey.asymmetricKeyType ?? '';
  if (type === 'ed25519') return encodeElement(0x30, encodeIdentifier('2b6570'));
  return encodeElement(
    0x30,
    encodeIdentifier(ALGORITHMS[`${type} ${hash}`]!),
    type === 'rsa' ? encodeElement(0x05) : EMPTY,
  );
}
