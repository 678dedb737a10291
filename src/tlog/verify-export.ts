import type { CheckpointTrail } from './checkpoint-trail.js';
import { ExportVerifier } from './export-verifier.js';
import type { SignedCheckpoint } from './signed-checkpoint.js';
import { LineSplitter } from './text-lines.js';
import type { VerifierKey } from './verifier-key.js';

export interface VerifyOptions {
  /** The note of an older checkpoint. */
  readonly since?: string | undefined;
  /**
   * The proof that the log continues the checkpoint of `since`. Needed when the size of `since` is outside the exported
   * range.
   */
  readonly consistency?: { readonly from: number; readonly to: number; readonly proof: readonly Buffer[] } | undefined;
  /** The notes of the checkpoints that were signed over time, oldest first. */
  readonly anchored?: AsyncIterable<string> | undefined;
  /** No event of this time or later may be erased. */
  readonly retainedSince?: Date | undefined;
  readonly onProgress?: ((bytes: number, lines: number) => void) | undefined;
}

/** The facts that an export proves. */
export interface ProvedExport {
  /** The leaves [from, to) of the tree that the checkpoint signs. */
  readonly from: number;
  readonly to: number;
  readonly events: number;
  readonly erased: number;
  readonly checkpoint: SignedCheckpoint;
  /** The times of the oldest and the newest event. */
  readonly span: readonly [Date, Date] | undefined;
  readonly since: SignedCheckpoint | undefined;
  readonly anchored: Pick<CheckpointTrail, 'held' | 'outside' | 'newer'> | undefined;
}

/**
 * Verifies an export of the log: NDJSON with the leaves in order and then their proof. Memory use does not grow with
 * the length of the export.
 *
 * @param chunks the bytes of the file in chunks of any size
 * @throws ExportError that names the first line that does not hold
 */
export async function verifyExport(
  chunks: AsyncIterable<Uint8Array | string>,
  keys: readonly VerifierKey[],
  options: VerifyOptions = {},
): Promise<ProvedExport> {
  const verifier = new ExportVerifier(keys, options);
  const splitter = new LineSplitter();
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await verifier.verifyLines(splitter.push(chunk));
      bytes += chunk.length;
      options.onProgress?.(bytes, verifier.line);
    }
    await verifier.verifyLines(splitter.end());
    return verifier.finish();
  } finally {
    await verifier.close();
  }
}
