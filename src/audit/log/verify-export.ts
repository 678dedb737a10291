import type { CheckpointTrail } from './checkpoint-trail.js';
import { ExportVerifier } from './export-verifier.js';
import type { SignedCheckpoint } from './signed-checkpoint.js';
import { LineSplitter } from './text-lines.js';
import type { VerifierKey } from './verifier-key.js';

export interface VerifyOptions {
  /** The note of a checkpoint that was signed before. */
  readonly since?: string | undefined;
  /** That the log continues the one of `since`; needed where that one's size is outside of the exported range. */
  readonly consistency?: { readonly from: number; readonly to: number; readonly proof: readonly Buffer[] } | undefined;
  /** The notes that were signed over time, in that order. */
  readonly anchored?: AsyncIterable<string> | undefined;
  /** No event from then on may be erased. */
  readonly retainedSince?: Date | undefined;
  readonly onProgress?: ((bytes: number, lines: number) => void) | undefined;
}

/** What an export proves. */
export interface ProvedExport {
  /** The leaves [from, to) of the tree that the checkpoint signs. */
  readonly from: number;
  readonly to: number;
  readonly events: number;
  readonly erased: number;
  readonly checkpoint: SignedCheckpoint;
  /** Of the oldest and the newest event. */
  readonly span: readonly [Date, Date] | undefined;
  readonly since: SignedCheckpoint | undefined;
  readonly anchored: Pick<CheckpointTrail, 'held' | 'outside' | 'newer'> | undefined;
}

/**
 * Proves an export of the log: NDJSON, its leaves in order, then their proof. Memory does not grow with its length.
 *
 * @param chunks the file's bytes, cut anywhere
 * @throws ExportError naming the first line that does not hold
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
      await verifier.lines(splitter.push(chunk));
      bytes += chunk.length;
      options.onProgress?.(bytes, verifier.line);
    }
    await verifier.lines(splitter.end());
    return verifier.end();
  } finally {
    await verifier.close();
  }
}
