/** The reason why a note, a checkpoint, a verifier key or a key file is invalid. It never holds a secret. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}

/** C2SP signed-note: a text and the signatures under it. */
export interface SignedNote {
  /** The text with its last newline, without the blank line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface NoteSignature {
  readonly name: string;
  /** Eight hexadecimal digits. */
  readonly keyId: string;
  /** The signature without the key id before it. */
  readonly signature: Buffer;
}

/** In characters. C2SP signed-note asks for room for 16 signatures, and an ML-DSA signature takes up to 5 kB. */
const MAX_NOTE_LENGTH = 2 ** 19;
const MAX_SIGNATURES = 64;
const KEY_ID_BYTES = 4;
const EM_DASH = '\u2014';

export function formatNote({ text, signatures }: SignedNote): string {
  const lines = signatures.map(({ name, keyId, signature }) => {
    const bytes = Buffer.concat([Buffer.from(keyId, 'hex'), signature]);
    return `${EM_DASH} ${name} ${bytes.toString('base64')}\n`;
  });
  return `${text}\n${lines.join('')}`;
}

/** @throws NoteError */
export function parseNote(note: string): SignedNote {
  if (note.length > MAX_NOTE_LENGTH) throw new NoteError('the note is too long');
  if (!note.isWellFormed()) throw new NoteError('the note is not Unicode');
  // eslint-disable-next-line no-control-regex
  if (/[\0-\x09\x0b-\x1f]/.test(note)) throw new NoteError('the note has a control character');
  const blank = note.lastIndexOf('\n\n');
  if (blank === -1 || !note.endsWith('\n')) throw new NoteError('the note has no blank line before its signatures');
  const lines = note.slice(blank + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw new NoteError('the note has too many signatures');
  return { text: note.slice(0, blank + 1), signatures: lines.map(parseSignature) };
}

/** C2SP signed-note: a key name is not empty and has no Unicode space and no plus. */
export function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\s+\0-\x20\x85\u200b]/u.test(name);
}

/** RFC 4648 §4, in its only valid spelling. @throws NoteError */
export function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (text === '' || bytes.toString('base64') !== text) throw new NoteError('the text is not base64');
  return bytes;
}

function parseSignature(line: string): NoteSignature {
  const [dash, name, base64, ...rest] = line.split(' ');
  if (dash !== EM_DASH || name === undefined || base64 === undefined || rest.length > 0 || !isKeyName(name)) {
    throw new NoteError('a line under the blank line is not a signature');
  }
  const bytes = decodeBase64(base64);
  if (bytes.length <= KEY_ID_BYTES) throw new NoteError('a signature is too short');
  const keyId = bytes.subarray(0, KEY_ID_BYTES).toString('hex');
  return { name, keyId, signature: bytes.subarray(KEY_ID_BYTES) };
}
