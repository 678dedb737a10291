import { verify } from 'node:crypto';
import { HASH_BYTES } from './merkle.js';
import { decodeBase64, formatNote, NoteError, type NoteSignature, parseNote } from './signed-note.js';
import type { LogSigner, VerifierKey } from './keys.js';

/** C2SP tlog-checkpoint: the root of a log's first `size` leaves. */
export interface Checkpoint {
  /** The name of the log: `passkey-manager/<deployment name>`. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** Further lines. This service gives them no meaning. */
  readonly extensions: readonly string[];
}

/** C2SP tlog-cosignature stores the length of an origin in one byte. */
const MAX_ORIGIN_BYTES = 255;

/** Writes the text that the note signs. @throws NoteError when `parseCheckpoint` would refuse the text */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  const text = [origin, String(size), root.toString('base64'), ...extensions].map((line) => `${line}\n`).join('');
  parseCheckpoint(text);
  return text;
}

/** @throws NoteError */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  const [origin, size, root, ...extensions] = lines.slice(0, -1);
  if (lines.at(-1) !== '' || origin === undefined || size === undefined || root === undefined) {
    throw new NoteError('a checkpoint has three lines or more');
  }
  if (lines.slice(0, -1).includes('')) throw new NoteError('a checkpoint has no empty lines');
  if (Buffer.byteLength(origin) > MAX_ORIGIN_BYTES) throw new NoteError('the origin of the checkpoint is too long');
  const hash = decodeBase64(root);
  if (hash.length !== HASH_BYTES) throw new NoteError('the root of the checkpoint is not a hash');
  return { origin, size: parseSize(size), root: hash, extensions };
}

function parseSize(text: string): number {
  const size = Number(text);
  if (!/^(0|[1-9]\d*)$/.test(text) || !Number.isSafeInteger(size)) {
    throw new NoteError('the size of the checkpoint is not a decimal number');
  }
  return size;
}

/** C2SP tlog-cosignature: the length of the timestamp before an ML-DSA-44 signature, which counts seconds since 1970. */
const TIMESTAMP_BYTES = 8;

/**
 * The message that an ML-DSA-44 key signs: `cosigned_message` of C2SP tlog-cosignature over the whole tree. The
 * signed-note specification has no plain ML-DSA signature of a note's text, and tlog-checkpoint says that a log should
 * sign its own checkpoints with this type (0x06). The message holds the time, which orders checkpoints. It does not
 * hold the extension lines: this service writes none, and the Ed25519 signature covers them.
 *
 * @param time in seconds since 1970
 */
function encodeCosignedMessage(cosigner: string, { origin, size, root }: Checkpoint, time: bigint): Buffer {
  const [start, end] = [0n, BigInt(size)];
  return Buffer.concat([
    LABEL,
    encodeOpaque(cosigner),
    encodeUint64(time),
    encodeOpaque(origin),
    encodeUint64(start),
    encodeUint64(end),
    root,
  ]);
}

function encodeUint64(number: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(number);
  return bytes;
}

const LABEL = Buffer.from('subtree/v1\n\0');

/** RFC 8446 §3.4: `opaque<1..2^8-1>`. */
function encodeOpaque(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length < 1 || bytes.length > 255) throw new NoteError('a name or an origin has 1 to 255 bytes');
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

/** The last second that a Date can hold. */
const MAX_SECONDS = 8_640_000_000_000n;

/** A checkpoint whose signatures are verified. */
export interface SignedCheckpoint extends Checkpoint {
  /** The time of the ML-DSA-44 signature, to the second. An Ed25519 signature has no time. */
  readonly time: Date | undefined;
  readonly keys: readonly VerifierKey[];
}

/** Writes the note with the signature of every signer. @throws NoteError when the checkpoint is invalid */
export async function signCheckpoint(
  checkpoint: Checkpoint,
  signers: readonly LogSigner[],
  time: Date,
): Promise<string> {
  const text = formatCheckpoint(checkpoint);
  const seconds = BigInt(Math.floor(time.getTime() / 1000));
  const signatures = signers.map(async ({ key, sign }): Promise<NoteSignature> => {
    const signature =
      key.algorithm === 'ed25519'
        ? await sign(Buffer.from(text))
        : Buffer.concat([encodeUint64(seconds), await sign(encodeCosignedMessage(key.name, checkpoint, seconds))]);
    return { name: key.name, keyId: key.keyId, signature };
  });
  return formatNote({ text, signatures: await Promise.all(signatures) });
}

/**
 * Verifies a note. Every key must have signed it, so that a removed signature invalidates the note. One key must have
 * the origin as its name. Signatures by other keys are ignored.
 *
 * @param about what follows the name in the origin of a statement that is not a checkpoint of the log
 * @throws NoteError
 */
export function openCheckpoint(note: string, keys: readonly VerifierKey[], about = ''): SignedCheckpoint {
  const { text, signatures } = parseNote(note);
  const checkpoint = parseCheckpoint(text);
  if (!keys.some(({ name }) => `${name}${about}` === checkpoint.origin)) {
    throw new NoteError(`the checkpoint belongs to ${checkpoint.origin}, but no key has that name`);
  }
  const times = keys.flatMap((key) => {
    const own = signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
    if (own.length === 0) {
      const names = signatures.map(({ name, keyId }) => `${name}+${keyId}`).join(' and ');
      const lacking = `the checkpoint lacks the ${key.algorithm} signature of ${key.name}+${key.keyId}`;
      throw new NoteError(`${lacking}; it has signatures of ${names}`);
    }
    return own.map(({ signature }) => verifySignature(key, text, checkpoint, signature));
  });
  return { ...checkpoint, time: times.find((time) => time !== undefined), keys };
}

/** @returns the time of the signature, if it has one */
function verifySignature(key: VerifierKey, text: string, checkpoint: Checkpoint, signature: Buffer): Date | undefined {
  if (key.algorithm === 'ed25519') {
    demandValidSignature(verify(null, Buffer.from(text), key.publicKey, signature), key);
    return undefined;
  }
  demandValidSignature(signature.length > TIMESTAMP_BYTES, key);
  const seconds = signature.readBigUInt64BE();
  demandValidSignature(seconds <= MAX_SECONDS, key);
  const message = encodeCosignedMessage(key.name, checkpoint, seconds);
  demandValidSignature(verify(null, message, key.publicKey, signature.subarray(TIMESTAMP_BYTES)), key);
  return seconds === 0n ? undefined : new Date(Number(seconds) * 1000);
}

function demandValidSignature(holds: boolean, { algorithm, name }: VerifierKey): void {
  if (!holds) throw new NoteError(`the ${algorithm} signature of ${name} is not valid`);
}
