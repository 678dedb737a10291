import { sign, verify } from 'node:crypto';
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from './checkpoint.js';
import { cosignedMessage, TIMESTAMP_BYTES, uint64 } from './cosigned-message.js';
import type { LogSigner } from './log-signer.js';
import { NoteError } from './note-error.js';
import { formatNote, type NoteSignature, parseNote } from './signed-note.js';
import type { VerifierKey } from './verifier-key.js';

/** The last second that a Date can tell. */
const MAX_SECONDS = 8_640_000_000_000n;

/** A checkpoint whose signatures hold. */
export interface SignedCheckpoint extends Checkpoint {
  /** When it was signed, to the second, by the ML-DSA-44 signature; Ed25519's says no time. */
  readonly time: Date | undefined;
  readonly keys: readonly VerifierKey[];
}

/** The note, signed by every signer. @throws NoteError when the checkpoint cannot be written */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly LogSigner[], time: Date): string {
  const text = formatCheckpoint(checkpoint);
  const seconds = BigInt(Math.floor(time.getTime() / 1000));
  const signatures = signers.map(({ key, privateKey }): NoteSignature => {
    const signed =
      key.algorithm === 'ed25519'
        ? sign(null, Buffer.from(text), privateKey)
        : Buffer.concat([uint64(seconds), sign(null, cosignedMessage(key.name, checkpoint, seconds), privateKey)]);
    return { name: key.name, keyId: key.keyId, signature: signed };
  });
  return formatNote({ text, signatures });
}

/**
 * Every one of the keys must have signed, so that to take a signature away is to break the note, and one of them must
 * bear the origin's name; signatures of other keys are passed over.
 *
 * @throws NoteError
 */
export function openCheckpoint(note: string, keys: readonly VerifierKey[]): SignedCheckpoint {
  const { text, signatures } = parseNote(note);
  const checkpoint = parseCheckpoint(text);
  if (!keys.some(({ name }) => name === checkpoint.origin)) {
    throw new NoteError(`the checkpoint is of ${checkpoint.origin}, which is the name of none of the keys`);
  }
  const times = keys.flatMap((key) => {
    const own = signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
    if (own.length === 0) throw new NoteError(`the checkpoint lacks the ${key.algorithm} signature of ${key.name}`);
    return own.map(({ signature }) => verifySignature(key, text, checkpoint, signature));
  });
  return { ...checkpoint, time: times.find((time) => time !== undefined), keys };
}

/** @returns when it was signed, if the signature says so */
function verifySignature(key: VerifierKey, text: string, checkpoint: Checkpoint, signature: Buffer): Date | undefined {
  if (key.algorithm === 'ed25519') {
    demand(verify(null, Buffer.from(text), key.publicKey, signature), key);
    return undefined;
  }
  demand(signature.length > TIMESTAMP_BYTES, key);
  const seconds = signature.readBigUInt64BE();
  demand(seconds <= MAX_SECONDS, key);
  const message = cosignedMessage(key.name, checkpoint, seconds);
  demand(verify(null, message, key.publicKey, signature.subarray(TIMESTAMP_BYTES)), key);
  return seconds === 0n ? undefined : new Date(Number(seconds) * 1000);
}

function demand(holds: boolean, { algorithm, name }: VerifierKey): void {
  if (!holds) throw new NoteError(`the ${algorithm} signature of ${name} does not hold`);
}
