import { generateKeyPair as generate, type KeyObject, randomBytes, sign, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { readDistinguishedNames, readSubjectKeyId } from '../x509/authority-key.js';
import {
  readChildren,
  makeContextTag,
  DER,
  type DerElement,
  encodeDer,
  expectTag,
  readWholeSequence,
} from '../x509/der.js';
import { toPem } from '../x509/pem.js';
import type { RevocationList } from '../x509/revocation-list.js';

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const generateKeyPair: (type: string, options: object) => Promise<KeyPair> = promisify(generate) as never;

/** An authority and its revocation list in use, if it has one. */
export interface ListedAuthority {
  readonly authority: X509Certificate;
  readonly list: RevocationList | undefined;
}

/** Copies of the trust material, in PEM. */
export interface TrustCopy {
  readonly ca: string;
  readonly crl: string;
  /** Issues a certificate for a caller, signed by the copy of an authority. */
  certify(listed: ListedAuthority): Promise<{ readonly cert: string; readonly key: string }>;
}

/**
 * Copies authorities and their revocation lists byte by byte, but with new keys and therefore new signatures. We hold
 * the private keys of the copies, so we can issue a certificate for a caller. With it, OpenSSL judges everything that
 * the copies share with the real ones. No listener trusts the copies.
 *
 * @throws Error when a key is of a kind that cannot be generated
 */
export async function copyTrust(
  material: readonly ListedAuthority[],
  otherLists: readonly RevocationList[],
): Promise<TrustCopy> {
  const keys = await generateKeysLike(material.map(({ authority }) => authority));
  const keyOf = (authority: X509Certificate): KeyPair => keys.get(exportSpki(authority).toString('hex'))!;
  const certificates = material.map(({ authority }) => {
    const issuer = material.find((other) => isIssuer(other.authority, authority))?.authority ?? authority;
    return copyCertificate(authority, keyOf(authority), keyOf(issuer));
  });
  const signers = new Map(material.map(({ authority, list }) => [list, authority]));
  const lists = [...signers].flatMap(([list, authority]) => (list ? [copyList(list, keyOf(authority))] : []));
  return {
    ca: certificates.map((der) => toPem('CERTIFICATE', der)).join(''),
    crl: [...lists, ...otherLists.map(({ der }) => der)].map((der) => toPem('X509 CRL', der)).join(''),
    certify: async ({ authority, list }) => {
      const { publicKey, privateKey } = await generateKeyPair('ec', { namedCurve: 'P-256' });
      const algorithm = list ? splitSigned(list.der)[1] : chooseAlgorithm(keyOf(authority));
      const certificate = buildCallerCertificate(authority, publicKey, algorithm);
      return {
        cert: toPem('CERTIFICATE', signContent(certificate, algorithm, keyOf(authority))),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      };
    },
  };
}

const isIssuer = (issuer: X509Certificate, authority: X509Certificate): boolean =>
  authority.checkIssued(issuer) && authority.verify(issuer.publicKey);

const exportSpki = ({ publicKey }: X509Certificate): Buffer => publicKey.export({ type: 'spki', format: 'der' });

/** The generated keys by kind, for reuse: an RSA key takes a second. */
const generatedKeys = new Map<string, KeyPair[]>();

/** Generates a key of the same kind and size for each key of the authorities. */
async function generateKeysLike(authorities: readonly X509Certificate[]): Promise<Map<string, KeyPair>> {
  const keys = new Map<string, KeyPair>();
  const used = new Map<string, number>();
  for (const authority of authorities) {
    const id = exportSpki(authority).toString('hex');
    if (keys.has(id)) continue;
    const { asymmetricKeyType: type = '', asymmetricKeyDetails: { namedCurve, modulusLength } = {} } =
      authority.publicKey;
    const kind = [type, namedCurve, modulusLength].join();
    const [index, generated] = [used.get(kind) ?? 0, generatedKeys.get(kind) ?? []];
    generated[index] ??= await generateKeyPair(type, { namedCurve, modulusLength });
    generatedKeys.set(kind, generated);
    used.set(kind, index + 1);
    keys.set(id, generated[index]);
  }
  return keys;
}

/** Splits a signed structure into the signed part, the AlgorithmIdentifier and the signature. */
function splitSigned(der: Buffer): [Buffer, Buffer, Buffer] {
  return readWholeSequence(der).map(({ start, end }) => der.subarray(start, end)) as [Buffer, Buffer, Buffer];
}

/** Copies a TBSCertificate (RFC 5280 §4.1): the version (absent in v1), five members, the public key, and the rest. */
function copyCertificate({ raw }: X509Certificate, key: KeyPair, issuerKey: KeyPair): Buffer {
  const members = readChildren(raw, expectTag(readWholeSequence(raw)[0], DER.sequence));
  const first = members[0]?.tag === makeContextTag(0) ? 1 : 0;
  const algorithm = raw.subarray(members[first + 1]!.start, members[first + 1]!.end);
  const copied = members.map((member, index) => {
    if (index === first + 5) return copyPublicKey(raw, member, key);
    return raw.subarray(member.start, member.end);
  });
  const usable = findHash(algorithm) === undefined ? chooseAlgorithm(issuerKey) : algorithm;
  copied[first + 1] = usable;
  return signContent(encodeDer(DER.sequence, ...copied), usable, issuerKey);
}

/** Copies a SubjectPublicKeyInfo with its parameters unchanged, because OpenSSL refuses curves that are written out. */
function copyPublicKey(raw: Buffer, { start, end }: DerElement, { publicKey }: KeyPair): Buffer {
  const [algorithm] = splitSigned(raw.subarray(start, end));
  return encodeDer(DER.sequence, algorithm, splitSigned(publicKey.export({ type: 'spki', format: 'der' }))[1]);
}

function copyList({ der }: RevocationList, key: KeyPair): Buffer {
  const [list, algorithm] = splitSigned(der);
  return signContent(list, algorithm, key);
}

/** Builds the TBSCertificate of a caller. It has no names, because name constraints could forbid any name. */
function buildCallerCertificate(authority: X509Certificate, publicKey: KeyObject, algorithm: Buffer): Buffer {
  const keyId = readSubjectKeyId(authority);
  const authorityKey = keyId !== undefined && encodeDer(DER.sequence, encodeDer(0x80, Buffer.from(keyId, 'hex')));
  return encodeDer(
    DER.sequence,
    encodeDer(makeContextTag(0), Buffer.from('020102', 'hex')),
    encodeDer(DER.integer, Buffer.concat([Buffer.from([0x7f]), randomBytes(15)])),
    algorithm,
    Buffer.from(readDistinguishedNames(authority).subject, 'hex'),
    encodeDer(DER.sequence, encodeTime(Date.now() - HOUR_MS), encodeTime(Date.now() + HOUR_MS)),
    encodeDer(DER.sequence),
    publicKey.export({ type: 'spki', format: 'der' }),
    encodeDer(
      makeContextTag(3),
      encodeDer(
        DER.sequence,
        encodeExtension('551d0f', Buffer.from('03020780', 'hex')), // keyUsage: digitalSignature
        encodeExtension('551d25', Buffer.from('300a06082b06010505070302', 'hex')), // extKeyUsage: clientAuth
        ...(authorityKey ? [encodeExtension('551d23', authorityKey)] : []),
      ),
    ),
  );
}

const HOUR_MS = 3_600_000;

function encodeExtension(identifier: string, value: Buffer): Buffer {
  const id = encodeDer(DER.objectIdentifier, Buffer.from(identifier, 'hex'));
  return encodeDer(DER.sequence, id, encodeDer(DER.octetString, value));
}

function encodeTime(time: number): Buffer {
  const text = `${new Date(time).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return encodeDer(DER.generalizedTime, Buffer.from(text));
}

function signContent(content: Buffer, algorithm: Buffer, { privateKey }: KeyPair): Buffer {
  const signature = sign(findHash(algorithm), content, privateKey);
  return encodeDer(DER.sequence, content, algorithm, encodeDer(DER.bitString, Buffer.from([0]), signature));
}

/** The hash of each algorithm by object identifier (DER in hexadecimal); null: the algorithm has its own. */
const HASHES = new Map<string, string | null>([
  ['2a8648ce3d0401', 'sha1'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
  ['2a864886f70d010105', 'sha1'],
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2b6570', null],
  ['2b6571', null],
  ['608648016503040311', null], // ML-DSA-44, -65 and -87 (RFC 9881 §2)
  ['608648016503040312', null],
  ['608648016503040313', null],
]);

/** @returns undefined if the algorithm cannot sign a copy */
function findHash(algorithm: Buffer): string | null | undefined {
  const { content, end } = expectTag(readWholeSequence(algorithm)[0], DER.objectIdentifier);
  return HASHES.get(algorithm.toString('hex', content, end));
}

/** An algorithm of each kind of key (AlgorithmIdentifier, DER in hexadecimal). */
const ALGORITHMS: Readonly<Record<string, string>> = {
  rsa: '300d06092a864886f70d01010b0500',
  ec: '300a06082a8648ce3d040302',
  ed25519: '300506032b6570',
  ed448: '300506032b6571',
  'ml-dsa-44': '300b0609608648016503040311',
  'ml-dsa-65': '300b0609608648016503040312',
  'ml-dsa-87': '300b0609608648016503040313',
};

/**
 * Returns an algorithm of the issuer's key, where no list shows one, or for a certificate whose own algorithm cannot
 * sign a copy, for example RSASSA-PSS.
 */
function chooseAlgorithm({ publicKey: { asymmetricKeyType } }: KeyPair): Buffer {
  const algorithm = ALGORITHMS[asymmetricKeyType ?? ''];
  if (algorithm === undefined) throw new Error(`a key of the kind ${asymmetricKeyType ?? 'unknown'} cannot be tried`);
  return Buffer.from(algorithm, 'hex');
}
