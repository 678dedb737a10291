/** Why a note, a checkpoint, a verifier key or a key file is not what it should be. Never holds a secret. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}
