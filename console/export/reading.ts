import { sha256 } from '@noble/hashes/sha2.js';
import type { ProvedExport } from '../../src/tlog/export-verifier.js';
import { parseVerifierKeys, type VerifierKey } from '../../src/tlog/keys.js';
import { ExportError } from '../../src/tlog/lines.js';
import { NoteError } from '../../src/tlog/signed-note.js';
import { openStream, readText } from '../shell/api.js';

/** Which part of the log: times in RFC 3339, or places of leaves; empty for all of it. */
export interface Range {
  readonly from: string;
  readonly to: string;
}

export type Verify = (
  chunks: AsyncIterable<Uint8Array>,
  keys: readonly VerifierKey[],
  onProgress: (bytes: number, lines: number) => void,
) => Promise<ProvedExport>;

/** So many milliseconds of work, and the page answers again. */
const TURN_MS = 16;

/**
 * Reads an export, and verifies it while it arrives. Memory does not grow with the export; a browser keeps what is to be saved on
 * the disk.
 */
export class Reading {
  state: 'reading' | 'verified' | 'refused' | 'broken' | 'stopped' = 'reading';
  bytes = 0;
  lines = 0;
  readonly began = performance.now();
  /** Milliseconds. */
  took = 0;
  /** What the export proves, when it is verified. */
  proved: ProvedExport | undefined;
  /** Why it does not verify, or did not arrive. */
  error: unknown;
  /** The SHA-256 of what arrived. */
  digest = '';
  /** What arrived, if it is kept. */
  file: Blob | undefined;

  readonly range: Range;
  readonly #stop = new AbortController();
  readonly #update: () => void;

  constructor(range: Range, update: () => void) {
    [this.range, this.#update] = [range, update];
  }

  /** @param keep keeps the file. @param leaving aborted when the reader leaves the view */
  async run(verify: Verify, keep: boolean, leaving: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, leaving]);
    const hash = sha256.create();
    const kept: Blob[] = [];
    const pass = async function* (chunks: AsyncIterable<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array> {
      let turn = performance.now();
      for await (const chunk of chunks) {
        hash.update(chunk);
        if (keep) kept.push(new Blob([chunk]));
        yield chunk;
        if (performance.now() - turn < TURN_MS) continue;
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
    };
    try {
      const keys = parseVerifierKeys(await readText('/v1/audit/key', {}, { signal }));
      const { from, to } = this.range;
      const query = { ...(from !== '' && { from }), ...(to !== '' && { to }) };
      const stream = await openStream('/v1/audit/export', { query }, { signal });
      const whole = pass(readAll(stream));
      this.proved = await verify(whole, keys, (bytes, lines) => {
        [this.bytes, this.lines] = [bytes, lines];
        this.#update();
      });
      this.state = 'verified';
    } catch (error) {
      this.error = error;
      const isFault = error instanceof ExportError || error instanceof NoteError;
      this.state = isFault ? 'refused' : signal.aborted ? 'stopped' : 'broken';
    }
    this.took = performance.now() - this.began;
    this.digest = hash.digest().toHex();
    if (keep && this.bytes > 0) this.file = new Blob(kept, { type: 'application/x-ndjson' });
    if (!leaving.aborted) this.#update();
  }

  stop(): void {
    this.#stop.abort();
  }
}

async function* readAll(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
  } finally {
    // A reader that goes before the end must not leave the service writing.
    await reader.cancel().catch(() => undefined);
  }
}
