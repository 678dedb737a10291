import { verify, type X509Certificate } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type AuthorityKey, isKeyOf, readDistinguishedNames, readAuthorityKey } from './authority-key.js';
import {
  readChildren,
  makeContextTag,
  DER,
  type DerElement,
  readElement,
  expectTag,
  formatInteger,
  readTime,
  readWholeSequence,
  stripLeadingZeros,
} from './der.js';
import { readPemBlocks } from './pem.js';

/** A certificate revocation list (RFC 5280 §5). */
export interface RevocationList {
  /** The distinguished name of the authority whose certificates it lists, as DER in hexadecimal. */
  readonly issuer: string;
  readonly number: bigint | undefined;
  readonly thisUpdate: Date;
  /** undefined if the list does not say, which RFC 5280 §5.1.2.5 forbids. */
  readonly nextUpdate: Date | undefined;
  readonly signature: Signature;
  /** The authority key that the list names; undefined if it names only its issuer. */
  readonly authorityKey: AuthorityKey | undefined;
  readonly der: Buffer;
  /** The number of certificates that it revokes. */
  readonly size: number;
  /** @param serialNumber hexadecimal, as in X509Certificate */
  revokes(serialNumber: string): boolean;
  /**
   * Returns true if OpenSSL takes the list for the authority's, by names and key identifiers, even if another key
   * signed it.
   */
  appliesTo(authority: X509Certificate): boolean;
  /**
   * Returns true if the list has the authority's name and its key signed it. The signature is verified once for each
   * authority.
   */
  isSignedBy(authority: X509Certificate): Promise<boolean>;
}

/** The signature algorithm of a list; `hash` is null if the algorithm has its own. */
export interface Signature {
  readonly name: string;
  readonly hash: string | null;
}

/** The known algorithms by object identifier (DER in hexadecimal). */
const SIGNATURES = new Map<string, Signature>([
  ['2a8648ce3d040302', { name: 'ECDSA', hash: 'SHA-256' }],
  ['2a8648ce3d040303', { name: 'ECDSA', hash: 'SHA-384' }],
  ['2a8648ce3d040304', { name: 'ECDSA', hash: 'SHA-512' }],
  ['2a864886f70d01010b', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }],
  ['2a864886f70d01010c', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' }],
  ['2a864886f70d01010d', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' }],
  ['2b6570', { name: 'Ed25519', hash: null }],
  ['2b6571', { name: 'Ed448', hash: null }],
]);
const CRL_NUMBER = '551d14';
const AUTHORITY_KEY_IDENTIFIER = '551d23';
/**
 * Extensions that mark a list as incomplete: it does not cover all certificates of its issuer (RFC 5280 §5.2.4,
 * §5.2.5).
 */
const PARTIAL = new Map([
  ['551d1b', 'it has a delta indicator'],
  ['551d1c', 'it has an issuing distribution point'],
]);
/** The reasonCode removeFromCRL as it stands in an entry (RFC 5280 §5.3.1). */
const REMOVE_FROM_CRL = Buffer.from('0603551d1504030a0108', 'hex');

/** A list may have a million entries, so the parser lets requests run after this many. */
const ENTRIES_AT_A_TIME = 5_000;

/** @throws Error with the reason why a list cannot be used */
export async function parseRevocationLists(pem: string): Promise<RevocationList[]> {
  const lists: RevocationList[] = [];
  for (const { der } of readPemBlocks(pem, 'X509 CRL')) lists.push(await parseRevocationList(der));
  return lists;
}

/** Parses a CertificateList (RFC 5280 §5.1): the list without its signature, the signature algorithm, the signature. */
async function parseRevocationList(der: Buffer): Promise<RevocationList> {
  const [list, algorithm, bits] = readWholeSequence(der);
  const signed = expectTag(list, DER.sequence);
  const signature = readSignature(der, expectTag(algorithm, DER.sequence));
  const { content, end } = expectTag(bits, DER.bitString);
  const { entries, ...members } = readMembers(der, signed);
  const revoked = entries ? await readRevoked(der, entries) : new Set<string>();
  const verdicts = new Map<string, Promise<boolean>>();
  return {
    ...members,
    signature,
    der,
    size: revoked.size,
    appliesTo: (authority) =>
      readDistinguishedNames(authority).subject === members.issuer && isKeyOf(members.authorityKey, authority),
    revokes: (serialNumber) => revoked.has(stripLeadingZeros(serialNumber.toLowerCase())),
    isSignedBy: (authority) => {
      if (readDistinguishedNames(authority).subject !== members.issuer) return Promise.resolve(false);
      const key = authority.fingerprint256;
      const verdict =
        verdicts.get(key) ??
        verifyListSignature(
          signature,
          der.subarray(signed.start, signed.end),
          authority,
          der.subarray(content + 1, end),
        );
      verdicts.set(key, verdict);
      return verdict;
    },
  };
}

function readSignature(der: Buffer, algorithm: DerElement): Signature {
  const { content, end } = expectTag(readChildren(der, algorithm)[0], DER.objectIdentifier);
  const signature = SIGNATURES.get(der.toString('hex', content, end));
  if (!signature) throw new Error('its signature algorithm is unknown');
  return signature;
}

/** Reads a TBSCertList (RFC 5280 §5.1.2): version, algorithm, issuer, thisUpdate, nextUpdate, entries, extensions. */
function readMembers(
  der: Buffer,
  signed: DerElement,
): Pick<RevocationList, 'issuer' | 'thisUpdate' | 'nextUpdate'> & Extensions & { entries: DerElement | undefined } {
  const members = readChildren(der, signed);
  const next = (...tags: number[]): DerElement | undefined =>
    tags.includes(members[0]?.tag ?? 0) ? members.shift() : undefined;
  next(DER.integer);
  expectTag(next(DER.sequence), DER.sequence);
  const issuer = expectTag(next(DER.sequence), DER.sequence);
  const thisUpdate = readTime(der, expectTag(members.shift(), DER.utcTime, DER.generalizedTime));
  const nextUpdate = next(DER.utcTime, DER.generalizedTime);
  const entries = next(DER.sequence);
  const extensions = next(makeContextTag(0));
  if (members.length > 0) throw new Error('it is not valid DER');
  return {
    issuer: der.toString('hex', issuer.start, issuer.end),
    ...readExtensions(der, extensions),
    thisUpdate,
    nextUpdate: nextUpdate && readTime(der, nextUpdate),
    entries,
  };
}

/**
 * Collects the serial numbers of the entries. It searches the rest of each entry for anything that withdraws the entry
 * or changes its meaning.
 */
async function readRevoked(der: Buffer, entries: DerElement): Promise<Set<string>> {
  const revoked = new Set<string>();
  const takesBack = der.subarray(entries.start, entries.end).includes(REMOVE_FROM_CRL);
  let count = 0;
  for (let at = entries.content; at < entries.end;) {
    if (++count % ENTRIES_AT_A_TIME === 0) await setImmediate();
    const entry = expectTag(readElement(der, at, entries.end), DER.sequence);
    const serialNumber = expectTag(readElement(der, entry.content, entry.end), DER.integer);
    at = entry.end;
    demandPlainEntry(der, readElement(der, serialNumber.end, entry.end).end, entry.end);
    if (takesBack && der.subarray(serialNumber.end, entry.end).includes(REMOVE_FROM_CRL)) continue;
    revoked.add(formatInteger(der, serialNumber));
  }
  return revoked;
}

interface Extensions {
  readonly number: bigint | undefined;
  readonly authorityKey: AuthorityKey | undefined;
}

/**
 * Refuses a list with an unknown critical extension, and a partial list, critical or not. OpenSSL applies neither, and
 * would refuse all callers of the authority.
 */
function readExtensions(der: Buffer, tagged: DerElement | undefined): Extensions {
  let number: bigint | undefined;
  let authorityKey: AuthorityKey | undefined;
  const extensions = tagged ? readChildren(der, expectTag(readChildren(der, tagged)[0], DER.sequence)) : [];
  for (const { identifier, isCritical, value } of extensions.map((extension) => readExtension(der, extension))) {
    const partial = PARTIAL.get(identifier);
    if (partial !== undefined) throw new Error(`it is partial: ${partial}`);
    if (isCritical) throw new Error('it may be partial: it has a critical extension');
    if (identifier === AUTHORITY_KEY_IDENTIFIER) authorityKey = readAuthorityKey(der, value);
    if (identifier === CRL_NUMBER) {
      const text = formatInteger(der, expectTag(readElement(der, value.content, value.end), DER.integer));
      if (text.startsWith('-')) throw new Error('it is not valid DER');
      number = BigInt(`0x${text}`);
    }
  }
  return { number, authorityKey };
}

function verifyListSignature(
  { hash }: Signature,
  signed: Buffer,
  { publicKey }: X509Certificate,
  bits: Buffer,
): Promise<boolean> {
  return new Promise((resolve) => {
    verify(hash, signed, publicKey, bits, (error, valid) => {
      resolve(!error && valid);
    });
  });
}

interface Extension {
  /** The object identifier as DER in hexadecimal. */
  readonly identifier: string;
  readonly isCritical: boolean;
  /** The OCTET STRING of the extension. */
  readonly value: DerElement;
}

/** Reads an Extension (RFC 5280 §4.1). @throws Error when it is malformed */
function readExtension(der: Buffer, extension: DerElement): Extension {
  const [identifier, ...rest] = readChildren(der, expectTag(extension, DER.sequence));
  const { content, end } = expectTag(identifier, DER.objectIdentifier);
  return {
    identifier: der.toString('hex', content, end),
    isCritical: rest.length > 1 && der[rest[0]!.content] !== 0,
    value: expectTag(rest.at(-1), DER.octetString),
  };
}

const CERTIFICATE_ISSUER = '551d1d';
/** The bytes before the reason in the usual entry, whose only extension is a reasonCode (RFC 5280 §5.3.1). */
const REASON_ALONE = Buffer.from('300c300a0603551d1504030a01', 'hex');

/**
 * Refuses an entry for a certificate of another issuer, and an entry with a critical extension. OpenSSL knows no
 * critical extension of entries, and would refuse the whole list (RFC 5280 §5.3).
 *
 * @param start the offset of the extensions of the entry, if it has any
 * @throws Error
 */
function demandPlainEntry(der: Buffer, start: number, end: number): void {
  if (start === end) return;
  if (end - start === REASON_ALONE.length + 1 && REASON_ALONE.compare(der, start, end - 1) === 0) return;
  const extensions = expectTag(readElement(der, start, end), DER.sequence);
  if (extensions.end !== end) throw new Error('it is not valid DER');
  for (const extension of readChildren(der, extensions)) {
    const { identifier, isCritical } = readExtension(der, extension);
    if (identifier === CERTIFICATE_ISSUER) throw new Error('it is indirect: an entry names another issuer');
    if (isCritical) throw new Error('an entry has a critical extension');
  }
}
