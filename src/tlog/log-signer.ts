import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { NoteError } from './note-error.js';
import { type LogAlgorithm, type VerifierKey, makeVerifierKey } from './verifier-key.js';

/** A key that signs the log's checkpoints. */
export interface LogSigner {
  readonly key: VerifierKey;
  readonly privateKey: KeyObject;
}

const ALGORITHMS: readonly LogAlgorithm[] = ['ed25519', 'ml-dsa-44'];
const PUBLIC = 'PUBLIC KEY';
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/**
 * Reads the signing keys of a PEM file: one Ed25519 key, one ML-DSA-44 key, or one of each in either order, as clear or
 * encrypted PKCS #8. It skips public keys.
 *
 * @param name the origin of the log
 * @throws NoteError
 */
export function readLogSigners(pem: string, name: string, passphrase?: string): LogSigner[] {
  const blocks = splitPemBlocks(pem).filter(([, label]) => label !== PUBLIC);
  if (blocks.length === 0) throw new NoteError('the key file does not hold whole private keys in PEM');
  const signers = blocks.map(([block, label], index) => {
    try {
      return readSigner(block, label!, name, passphrase);
    } catch (error) {
      const { message } = error as Error;
      throw new NoteError(`key ${String(index + 1)} of the key file ${message}`, { cause: error });
    }
  });
  const byAlgorithm = ALGORITHMS.flatMap((algorithm) => {
    const own = signers.filter(({ key }) => key.algorithm === algorithm);
    if (own.length > 1) throw new NoteError(`the key file holds more than one key of ${algorithm}`);
    return own;
  });
  return byAlgorithm;
}

/** Reads the public keys of a key file: keys that signed the log before, or will sign it. @throws NoteError */
export function readFormerKeys(pem: string, name: string): VerifierKey[] {
  const blocks = splitPemBlocks(pem).filter(([, label]) => label === PUBLIC);
  return blocks.map(([key]) => {
    const publicKey = createPublicKey(key);
    return makeVerifierKey(name, findLogAlgorithm(publicKey), publicKey);
  });
}

function splitPemBlocks(pem: string): RegExpExecArray[] {
  const blocks = [...pem.matchAll(PEM_BLOCK)];
  if (blocks.length === pem.split('-----BEGIN ').length - 1) return blocks;
  throw new NoteError('the key file does not hold whole private keys in PEM');
}

function findLogAlgorithm(key: KeyObject): LogAlgorithm {
  const algorithm = ALGORITHMS.find((known) => known === key.asymmetricKeyType);
  if (algorithm === undefined) throw new NoteError(`has the type ${String(key.asymmetricKeyType)}, not ${ALGORITHMS.join(' or ')}`); // prettier-ignore
  return algorithm;
}

function readSigner(block: string, label: string, name: string, passphrase: string | undefined): LogSigner {
  if (label !== 'PRIVATE KEY' && label !== 'ENCRYPTED PRIVATE KEY') {
    throw new NoteError(`is a ${label}, not a private key in PKCS #8`);
  }
  const encrypted = label === 'ENCRYPTED PRIVATE KEY';
  if (encrypted && passphrase === undefined) throw new NoteError('is encrypted, but there is no passphrase');
  const privateKey = openPrivateKey(block, encrypted ? passphrase : undefined);
  const algorithm = findLogAlgorithm(privateKey);
  return { key: makeVerifierKey(name, algorithm, createPublicKey(privateKey)), privateKey };
}

function openPrivateKey(key: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const reason = passphrase === undefined ? 'is not readable' : 'does not open with the passphrase';
    throw new NoteError(reason, { cause: error });
  }
}
