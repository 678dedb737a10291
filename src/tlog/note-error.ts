/** The reason why a note, a checkpoint, a verifier key or a key file is invalid. It never holds a secret. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}
