import { ExportError } from './export-error.js';
import { NoteError } from './note-error.js';
import { openCheckpoint, type SignedCheckpoint } from './signed-checkpoint.js';
import { LineSplitter } from './text-lines.js';
import type { VerifierKey } from './verifier-key.js';

const SIGNATURE = '\u2014 ';

/** Splits a file of appended notes into single notes. Blank lines between the notes are optional. */
export async function* readNotes(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  let note = '';
  let signed = false;
  for await (const line of splitLines(chunks)) {
    if (signed && !line.startsWith(SIGNATURE)) {
      yield note;
      [note, signed] = ['', false];
    }
    if (line === '' && note === '') continue;
    note += `${line}\n`;
    signed ||= line === '';
  }
  if (note !== '') yield note;
}

/** Opens the notes in their order. @throws ExportError that names the checkpoint by its number, from 1 */
export async function* openCheckpoints(
  notes: AsyncIterable<string>,
  keys: readonly VerifierKey[],
): AsyncGenerator<SignedCheckpoint> {
  let number = 1;
  try {
    for await (const note of notes) {
      yield openCheckpoint(note, keys);
      number += 1;
    }
  } catch (error) {
    if (!(error instanceof NoteError || error instanceof ExportError)) throw error;
    throw new ExportError(`anchored checkpoint ${String(number)}: ${error.message}`);
  }
}

async function* splitLines(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const splitter = new LineSplitter();
  for await (const chunk of chunks) yield* splitter.push(chunk);
  yield* splitter.end();
}
