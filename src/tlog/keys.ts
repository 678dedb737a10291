import { createPrivateKey, createPublicKey, hash, type KeyObject, sign } from 'node:crypto';
import { decodeBase64, isKeyName, NoteError } from './signed-note.js';

/** The algorithms' names in node:crypto. */
export type LogAlgorithm = 'ed25519' | 'ml-dsa-44';

/** C2SP signed-note: a public key with the name of its signer. */
export interface VerifierKey {
  readonly name: string;
  /** Eight hexadecimal digits. */
  readonly keyId: string;
  readonly algorithm: LogAlgorithm;
  readonly publicKey: KeyObject;
}

/** The signature type in C2SP signed-note, and the length of a public key (RFC 8032, FIPS 204). */
const TYPES: Readonly<Record<LogAlgorithm, { readonly type: number; readonly keyBytes: number }>> = {
  ed25519: { type: 0x01, keyBytes: 32 },
  'ml-dsa-44': { type: 0x06, keyBytes: 1312 },
};

/** @throws NoteError when the name is not a valid key name */
function makeVerifierKey(name: string, algorithm: LogAlgorithm, publicKey: KeyObject): VerifierKey {
  if (!isKeyName(name)) throw new NoteError('the name of a key must not be empty and must not have spaces or a plus');
  const typed = encodeTypedKey(algorithm, publicKey.export({ format: 'raw-public' }));
  const keyId = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'hex').slice(0, 8);
  return { name, keyId, algorithm, publicKey };
}

export function formatVerifierKey({ name, keyId, algorithm, publicKey }: VerifierKey): string {
  return `${name}+${keyId}+${encodeTypedKey(algorithm, publicKey.export({ format: 'raw-public' })).toString('base64')}`;
}

/** @throws NoteError */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name, keyId, base64] = /^([^+]*)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  if (name === undefined || keyId === undefined || base64 === undefined) {
    throw new NoteError('a verifier key is name+hash+base64');
  }
  const [type, bytes] = [decodeBase64(base64)[0], decodeBase64(base64).subarray(1)];
  const algorithm = (Object.keys(TYPES) as LogAlgorithm[]).find((known) => TYPES[known].type === type);
  if (algorithm === undefined) throw new NoteError(`the key type ${String(type)} is unknown`);
  if (bytes.length !== TYPES[algorithm].keyBytes) throw new NoteError(`the key has the wrong length for ${algorithm}`);
  const publicKey = createPublicKey({ key: bytes, format: 'raw-public', asymmetricKeyType: algorithm });
  const key = makeVerifierKey(name, algorithm, publicKey);
  if (key.keyId !== keyId) throw new NoteError(`${keyId} is not the hash of the key of ${name}`);
  return key;
}

/** Reads one key per line. @throws NoteError that names the line */
export function parseVerifierKeys(text: string): VerifierKey[] {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line, number: String(index + 1) }));
  const keys = lines
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => {
      try {
        return parseVerifierKey(line);
      } catch (error) {
        throw new NoteError(`line ${number}: ${(error as Error).message}`, { cause: error });
      }
    });
  if (keys.length === 0) throw new NoteError('there is no verifier key');
  if (new Set(keys.map(formatVerifierKey)).size < keys.length) throw new NoteError('a verifier key appears twice');
  return keys;
}

function encodeTypedKey(algorithm: LogAlgorithm, raw: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(TYPES[algorithm].type), raw]);
}

/** A key that signs the log's checkpoints. */
export interface LogSigner {
  readonly key: VerifierKey;
  /** Signs a message with the private key, which may be outside of this process. */
  readonly sign: (message: Buffer) => Buffer | Promise<Buffer>;
  /** True for the old key of a change of keys. It signs beside the new one. */
  readonly isFormer: boolean;
}

const ALGORITHMS: readonly LogAlgorithm[] = ['ed25519', 'ml-dsa-44'];
const PUBLIC = 'PUBLIC KEY';
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/** A line of a key file that names a private key elsewhere (RFC 7512). */
const KEY_URI = /^pkcs11:.*$/;
/** A block or a line that stands for a private key, or a block with a public one. */
const ENTRY = new RegExp(`${PEM_BLOCK.source}|${KEY_URI.source}`, 'gm');

/** A private key that is not in the key file. */
export type OutsideKey = Pick<LogSigner, 'sign'> & { readonly publicKey: KeyObject };

/**
 * Reads the signing keys of a key file: one Ed25519 key, one ML-DSA-44 key, or one of each in either order, as clear or
 * encrypted PKCS #8 in PEM, or as a line with a `pkcs11:` URI. A second key of an algorithm is the former one. Returns
 * the present keys first. It skips public keys.
 *
 * @param name the origin of the log
 * @param openUri opens the key that a URI names; its errors say why it cannot
 * @throws NoteError
 */
export function readLogSigners(
  text: string,
  name: string,
  passphrase?: string,
  openUri: (uri: string) => OutsideKey = refuseUri,
): LogSigner[] {
  demandWholeBlocks(text);
  const entries = [...text.matchAll(ENTRY)].filter(([, label]) => label !== PUBLIC);
  if (entries.length === 0) throw new NoteError('the key file does not hold whole private keys in PEM');
  const signers = entries.map(([entry, label], index) => {
    try {
      if (label === undefined) return makeSigner(name, openOutsideKey(entry, openUri));
      return readSigner(entry, label, name, passphrase);
    } catch (error) {
      const { message } = error as Error;
      throw new NoteError(`key ${String(index + 1)} of the key file ${message}`, { cause: error });
    }
  });
  const byAlgorithm = ALGORITHMS.map((algorithm) => {
    const [present, former, more] = signers.filter(({ key }) => key.algorithm === algorithm);
    if (more) throw new NoteError(`the key file holds more than two keys of ${algorithm}, the new one and the old one`);
    if (present && present.key.keyId === former?.key.keyId) throw new NoteError(`the ${algorithm} key appears twice`);
    return { present, former };
  });
  return [
    ...byAlgorithm.flatMap(({ present }) => (present ? [{ ...present, isFormer: false }] : [])),
    ...byAlgorithm.flatMap(({ former }) => (former ? [{ ...former, isFormer: true }] : [])),
  ];
}

/**
 * Reads the public keys of a key file, as PEM or as C2SP verifier keys: keys that signed the log before, or will sign
 * it.
 *
 * @throws NoteError
 */
export function readPublicKeys(pem: string, name: string): VerifierKey[] {
  demandWholeBlocks(pem);
  const blocks = [...pem.matchAll(PEM_BLOCK)].filter(([, label]) => label === PUBLIC);
  const lines = pem.replace(PEM_BLOCK, '').split(/\r?\n/);
  return [
    ...blocks.map(([key]) => {
      const publicKey = createPublicKey(key);
      return makeVerifierKey(name, findLogAlgorithm(publicKey), publicKey);
    }),
    ...lines.filter((line) => line.startsWith(`${name}+`)).map(parseVerifierKey),
  ];
}

/** @throws NoteError if a PEM block is cut */
function demandWholeBlocks(text: string): void {
  if ([...text.matchAll(PEM_BLOCK)].length === text.split('-----BEGIN ').length - 1) return;
  throw new NoteError('the key file does not hold whole private keys in PEM');
}

function openOutsideKey(uri: string, openUri: (uri: string) => OutsideKey): OutsideKey {
  try {
    return openUri(uri);
  } catch (error) {
    throw new NoteError(`cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

function refuseUri(): never {
  throw new NoteError('it is in a token');
}

function findLogAlgorithm(key: KeyObject): LogAlgorithm {
  const algorithm = ALGORITHMS.find((known) => known === key.asymmetricKeyType);
  if (algorithm === undefined) {
    throw new NoteError(`has the type ${String(key.asymmetricKeyType)}, not ${ALGORITHMS.join(' or ')}`);
  }
  return algorithm;
}

function readSigner(
  block: string,
  label: string,
  name: string,
  passphrase: string | undefined,
): Omit<LogSigner, 'isFormer'> {
  if (label !== 'PRIVATE KEY' && label !== 'ENCRYPTED PRIVATE KEY') {
    throw new NoteError(`is a ${label}, not a private key in PKCS #8`);
  }
  const encrypted = label === 'ENCRYPTED PRIVATE KEY';
  if (encrypted && passphrase === undefined) throw new NoteError('is encrypted, but there is no passphrase');
  const privateKey = openPrivateKey(block, encrypted ? passphrase : undefined);
  findLogAlgorithm(privateKey);
  return makeSigner(name, {
    publicKey: createPublicKey(privateKey),
    sign: (message) => sign(null, message, privateKey),
  });
}

function makeSigner(name: string, { publicKey, sign }: OutsideKey): Omit<LogSigner, 'isFormer'> {
  return { key: makeVerifierKey(name, findLogAlgorithm(publicKey), publicKey), sign };
}

function openPrivateKey(key: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const reason = passphrase === undefined ? 'is not readable' : 'does not open with the passphrase';
    throw new NoteError(reason, { cause: error });
  }
}
