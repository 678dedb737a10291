import { HASH_BYTES } from './merkle-hash.js';
import { NoteError } from './note-error.js';
import { decodeBase64 } from './signed-note.js';

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
