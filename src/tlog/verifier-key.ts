import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { NoteError } from './note-error.js';
import { decodeBase64, isKeyName } from './signed-note.js';

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
export function makeVerifierKey(name: string, algorithm: LogAlgorithm, publicKey: KeyObject): VerifierKey {
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
