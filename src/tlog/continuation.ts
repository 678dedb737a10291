import { ExportError, LineFault } from './export-error.js';
import { NoteError } from './note-error.js';
import { openCheckpoint, type SignedCheckpoint } from './signed-checkpoint.js';
import type { VerifierKey } from './verifier-key.js';
import type { ProvedExport, VerifyOptions } from './verify-export.js';
import { verifyConsistency } from './verify-proof.js';

/** @throws ExportError */
export function openOlderCheckpoint(note: string, keys: readonly VerifierKey[]): SignedCheckpoint {
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
    throw new LineFault(`belongs to ${checkpoint.origin}, but the older checkpoint belongs to ${since.origin}`);
  }
  if (since.size > checkpoint.size) {
    throw new LineFault(`has ${newer} leaves, but the older checkpoint has ${older}: the log was cut`);
  }
  if (!consistency) {
    const within = (since.size >= from && since.size <= to) || since.size === checkpoint.size;
    if (within) return;
    throw new LineFault(
      `needs a consistency proof: the older checkpoint of ${older} leaves ends outside the exported range`,
    );
  }
  if (consistency.from !== since.size || consistency.to !== checkpoint.size) {
    const [begin, end] = [String(consistency.from), String(consistency.to)];
    throw new LineFault(
      `goes from ${older} to ${newer} leaves, but the consistency proof goes from ${begin} to ${end}`,
    );
  }
  if (!verifyConsistency({ ...consistency, fromRoot: since.root, toRoot: checkpoint.root })) {
    throw new LineFault(`belongs to a log that does not continue the older checkpoint, or the consistency proof is for other trees`); // prettier-ignore
  }
}
