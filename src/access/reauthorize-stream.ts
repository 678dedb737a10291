import { Readable } from 'node:stream';
import { Problem } from '../http/problem.js';

/** A slow reader stays connected if it takes one piece within the listener's timeout. */
const PIECE_BYTES = 16_384;
const INTERVAL_MS = 1_000;

/** The caller was authorized when its request came, and no longer is. */
export class NoLongerAuthorized extends Problem {
  constructor() {
    super('permission-denied', { detail: 'the caller is no longer authorized' });
  }
}

/**
 * Authorizes the caller of a long answer as if it sent many requests: before each part is sent, and every second while
 * the caller does not read. Nothing is sent after a refusal.
 *
 * @returns a stream that fails with NoLongerAuthorized
 */
export function reauthorizeStream(parts: AsyncIterable<Buffer>, isWelcome: () => Promise<boolean>): Readable {
  const stream = Readable.from(splitParts(parts, isWelcome), { objectMode: false, highWaterMark: PIECE_BYTES });
  const timer = setInterval(() => {
    isWelcome().then(
      (welcome) => {
        if (!welcome) stream.destroy(new NoLongerAuthorized());
      },
      (error: unknown) => stream.destroy(error as Error),
    );
  }, INTERVAL_MS).unref();
  return stream.once('close', () => {
    clearInterval(timer);
  });
}

async function* splitParts(parts: AsyncIterable<Buffer>, isWelcome: () => Promise<boolean>): AsyncGenerator<Buffer> {
  for await (const part of parts) {
    if (!(await isWelcome())) throw new NoLongerAuthorized();
    for (let at = 0; at < part.length; at += PIECE_BYTES) yield part.subarray(at, at + PIECE_BYTES);
  }
}
