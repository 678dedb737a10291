import { ExportError, LineFault } from './export-error.js';
import { NoteError } from './note-error.js';
import { openCheckpoint, type SignedCheckpoint } from './signed-checkpoint.js';
import type { VerifierKey } from './verifier-key.js';
import type { ProvedExport, VerifyOptions } from './verify-export.js';
import { verifyConsistency } from './verify-proof.js';

/** @throws ExportError */
export function openOlder(note: string, keys: readonly VerifierKey[]): SignedCheckpoint {
  try {
    return openCheckpoint(note, keys);
  } catch (error) {
    throw error instanceof NoteError ? new ExportError(`the older checkpoint: ${error.message}`) : error;
  }
}

/**
 * Demands that the log of an export continues the log of an older checkpoint. A consistency proof shows this. Without
 * one, the older size must lie within the exported range, where the trail of checkpoints has compared the roots, or the
 * two trees must have the same size.
 *
 * @throws LineFault about the proof's line
 */
export function demandContinuation(
  since: SignedCheckpoint,
  consistency: VerifyOptions['consistency'],
  { from, to, checkpoint }: Pick<ProvedExport, 'from' | 'to' | 'checkpoint'>,
): void {
  const [older, newer] = [String(since.size), String(checkpoint.size)];
  if (since.origin !== checkpoint.origin) {
    throw new LineFault(`is of ${checkpoint.origin}, and the older checkpoint of ${since.origin}`);
  }
  if (since.size > checkpoint.size) {
    throw new LineFault(`is of ${newer} leaves, and the older checkpoint of ${older}: the log was cut`);
  }
  if (!consistency) {
    const within = (since.size >= from && since.size <= to) || since.size === checkpoint.size;
    if (within) return;
    throw new LineFault(
      `needs a consistency proof: the older checkpoint, of ${older} leaves, ends outside of the lines`,
    );
  }
  if (consistency.from !== since.size || consistency.to !== checkpoint.size) {
    const [begin, end] = [String(consistency.from), String(consistency.to)];
    throw new LineFault(`is of ${newer} leaves after ${older}, and the consistency proof of ${end} after ${begin}`);
  }
  if (!verifyConsistency({ ...consistency, fromRoot: since.root, toRoot: checkpoint.root })) {
    throw new LineFault(`is of a log that does not continue the one of the older checkpoint, or the consistency proof is not theirs`); // prettier-ignore
  }
}
