import { ExportError, LineSplitter } from '../../src/tlog/lines.js';
import type { VerifierKey } from '../../src/tlog/keys.js';
import { type ProvedExport, verifyExport, type VerifyOptions } from '../../src/tlog/export-verifier.js';
import { readLoggedEvent } from './logged-event.js';
import type { Review } from './review.js';

/**
 * Reviews and verifies an export in one reading, so the review covers exactly the bytes that are verified.
 *
 * @param keys undefined to review without verification
 * @returns the facts that the export proves; undefined without keys
 * @throws ExportError
 */
export async function reviewExport(
  chunks: AsyncIterable<Uint8Array>,
  review: Review,
  keys?: readonly VerifierKey[],
  options: VerifyOptions = {},
): Promise<ProvedExport | undefined> {
  const reviewed = reviewChunks(chunks, review);
  if (keys) return verifyExport(reviewed, keys, options);
  for await (const chunk of reviewed) options.onProgress?.(chunk.length, review.events);
  return undefined;
}

async function* reviewChunks(chunks: AsyncIterable<Uint8Array>, review: Review): AsyncGenerator<Uint8Array> {
  const splitter = new LineSplitter();
  let number = 0;
  const take = (lines: Iterable<string>): void => {
    for (const text of lines) {
      number += 1;
      const event = parseLoggedEvent(text, number);
      if (event !== undefined) review.add(readLoggedEvent(event));
    }
  };
  for await (const chunk of chunks) {
    take(splitter.push(chunk));
    yield chunk;
  }
  take(splitter.end());
}

/** @returns undefined when the line is not an event. @throws ExportError when it is not JSON */
function parseLoggedEvent(text: string, number: number): unknown {
  try {
    const line = JSON.parse(text) as { kind?: unknown; event?: unknown } | null;
    return line?.kind === 'event' ? line.event : undefined;
  } catch {
    throw new ExportError('is not JSON', number);
  }
}
