import { NoteError } from './note-error.js';
import type { Checkpoint } from './checkpoint.js';

/** C2SP tlog-cosignature: the length of the timestamp before an ML-DSA-44 signature, which counts seconds since 1970. */
export const TIMESTAMP_BYTES = 8;

/**
 * The message that an ML-DSA-44 key signs: `cosigned_message` of C2SP tlog-cosignature over the whole tree. The
 * signed-note specification has no plain ML-DSA signature of a note's text, and tlog-checkpoint says that a log should
 * sign its own checkpoints with this type (0x06). The message holds the time, which orders checkpoints. It does not
 * hold the extension lines: this service writes none, and the Ed25519 signature covers them.
 *
 * @param time in seconds since 1970
 */
export function encodeCosignedMessage(cosigner: string, { origin, size, root }: Checkpoint, time: bigint): Buffer {
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

export function encodeUint64(number: bigint): Buffer {
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
