import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Target } from '../load/connection.js';

export interface Streamed {
  readonly seconds: number;
  /** Bytes of the answer. */
  readonly bytes: number;
  /** The last line of the answer. */
  readonly summary: Record<string, unknown>;
}

/**
 * Sends lines, reads lines, and keeps none but the last.
 *
 * @throws Error unless the answer is a 200
 */
export async function streamLines(
  { url, pki = '' }: Target,
  call: { method: 'GET' | 'POST'; path: string; identity: string; lines?: Iterable<Buffer> },
): Promise<Streamed> {
  const read = (name: string): Buffer => readFileSync(join(pki, name));
  const { hostname, port } = new URL(url);
  const started = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<Streamed>();
  const outgoing = request({
    ...{ hostname, port, method: call.method, path: call.path, agent: false, ca: read('ca.crt') },
    ...{ cert: read(`${call.identity}.crt`), key: read(`${call.identity}.key`) },
    ...(call.lines ? { headers: { 'content-type': 'application/x-ndjson' } } : {}),
  });
  outgoing.on('error', reject).on('response', (response) => {
    void readLast(response).then(({ bytes, last }) => {
      if (response.statusCode !== 200) throw new Error(`${call.path}: ${String(response.statusCode)} ${last}`);
      const summary = JSON.parse(last) as Record<string, unknown>;
      resolve({ seconds: (performance.now() - started) / 1_000, bytes, summary });
    }, reject);
  });
  if (call.lines) Readable.from(call.lines).pipe(outgoing);
  else outgoing.end();
  return promise;
}

async function readLast(lines: Readable): Promise<{ bytes: number; last: string }> {
  let [bytes, last] = [0, ''];
  for await (const piece of lines) {
    bytes += (piece as Buffer).length;
    const whole = last + String(piece);
    last = whole.slice(whole.lastIndexOf('\n', whole.length - 2) + 1);
  }
  return { bytes, last };
}
