import { sign, verify } from 'node:crypto';
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from './checkpoint.js';
import { encodeCosignedMessage, TIMESTAMP_BYTES, encodeUint64 } from './cosigned-message.js';
import type { LogSigner } from './log-signer.js';
import { NoteError } from './note-error.js';
import { formatNote, type NoteSignature, parseNote } from './signed-note.js';
import type { VerifierKey } from './verifier-key.js';

/** The last second that a Date can hold. */
const MAX_SECONDS = 8_640_000_000_000n;

/** A checkpoint whose signatures are verified. */
export interface SignedCheckpoint extends Checkpoint {
  /** The time of the ML-DSA-44 signature, to the second. An Ed25519 signature has no time. */
  readonly time: Date | undefined;
  readonly keys: readonly VerifierKey[];
}

/** Writes the note with the signature of every signer. @throws NoteError when the checkpoint is invalid */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly LogSigner[], time: Date): string {
  const text = formatCheckpoint(checkpoint);
  const seconds = BigInt(Math.floor(time.getTime() / 1000));
  const signatures = signers.map(({ key, privateKey }): NoteSignature => {
    const signed =
      key.algorithm === 'ed25519'
        ? sign(null, Buffer.from(text), privateKey)
        : Buffer.concat([
            encodeUint64(seconds),
            sign(null, encodeCosignedMessage(key.name, checkpoint, seconds), privateKey),
          ]);
    return { name: key.name, keyId: key.keyId, signature: signed };
  });
  return formatNote({ text, signatures });
}

/**
 * Verifies a note. Every key must have signed it, so that a removed signature invalidates the note. One key must have
 * the origin as its name. Signatures by other keys are ignored.
 *
 * @throws NoteError
 */
export function openCheckpoint(note: string, keys: readonly VerifierKey[]): SignedCheckpoint {
  const { text, signatures } = parseNote(note);
  const checkpoint = parseCheckpoint(text);
  if (!keys.some(({ name }) => name === checkpoint.origin)) {
    throw new NoteError(`the checkpoint belongs to ${checkpoint.origin}, but no key has that name`);
  }
  const times = keys.flatMap((key) => {
    const own = signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
    if (own.length === 0) throw new NoteError(`the checkpoint lacks the ${key.algorithm} signature of ${key.name}`);
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
  if (!holds) throw new NoteError(`the ${algorithm} signature of ${name} does not hold`);
}
