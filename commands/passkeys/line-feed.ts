import { MAX_LINE_BYTES } from '../../src/portability/credential-line.js';
import { type ImportedExport, ImportFrame } from '../../src/portability/import-frame.js';

/** Lines without a verdict take at most about this much memory. */
const MAX_HELD_BYTES = 2 ** 22;
/** The bytes of a piece of a request. */
const PIECE_BYTES = 2 ** 16;
const [LF, CR] = [0x0a, 0x0d];
const NEWLINE = Buffer.of(LF);

/**
 * The lines of a file, which a request reads as its body. It holds the lines that have no verdict yet, so that another request can
 * send them again, and reads on only while these are few.
 */
export class LineFeed {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #held = new Map<number, Buffer>();
  #heldBytes = 0;
  /** The last line that was read, and the last one that is done. */
  #last = 0;
  #done: number;
  #isEnded = false;
  #reading: Promise<void> | undefined;
  #parts: Buffer[] = [];
  #partBytes = 0;
  #wake = Promise.withResolvers<undefined>();
  readonly #frame = new ImportFrame(1);

  /** @param firstLine the lines before it are passed over */
  constructor(chunks: AsyncIterable<Buffer>, firstLine: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#done = firstLine - 1;
  }

  get nextLine(): number {
    return this.#done + 1;
  }

  /** True if nothing is left to send. */
  async isExhausted(): Promise<boolean> {
    while (!this.#isEnded && this.#held.size === 0) await this.#read();
    return this.#held.size === 0;
  }

  /** @returns what the lines that were read are, if they are those of an export */
  describeExport(): ImportedExport | undefined {
    return this.#frame.describe();
  }

  /** Forgets the lines up to this one. @throws Error if it was never read */
  release(line: number): void {
    if (line <= this.#done || line > this.#last) throw new Error(`line ${String(line)} was not asked for`);
    while (this.#done < line) {
      this.#done += 1;
      this.#heldBytes -= this.#held.get(this.#done)?.length ?? 0;
      this.#held.delete(this.#done);
    }
    this.#wake.resolve(undefined);
    this.#wake = Promise.withResolvers();
  }

  /** The body of a request whose first line is `nextLine`. A line that is no passkey is sent as an empty one, which only counts. */
  async *send(): AsyncGenerator<Buffer> {
    for (let sent = this.#done; ;) {
      const [pieces, from]: [Buffer[], number] = [[], sent];
      for (let bytes = 0; sent < this.#last && bytes < PIECE_BYTES;) {
        const line = this.#held.get((sent += 1));
        if (line) pieces.push(line);
        pieces.push(NEWLINE);
        bytes += line?.length ?? 1;
      }
      if (sent > from) yield Buffer.concat(pieces);
      else if (this.#isEnded) return;
      else if (this.#heldBytes < MAX_HELD_BYTES) await this.#read();
      else await this.#wake.promise;
    }
  }

  /** Reads a chunk. A request that broke off may still wait for one, and its successor waits for the same. */
  #read(): Promise<void> {
    this.#reading ??= this.#readChunk().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readChunk(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done) {
      if (this.#partBytes > 0) this.#endLine();
      this.#isEnded = true;
      return;
    }
    const chunk = next.value;
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#endLine();
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** Of a line that is too long, only so much is sent that the service sees it. */
  #keep(part: Buffer): void {
    const kept = part.subarray(0, Math.max(0, MAX_LINE_BYTES + 2 - this.#partBytes));
    this.#partBytes += kept.length;
    if (kept.length > 0) this.#parts.push(Buffer.from(kept));
  }

  #endLine(): void {
    const whole = Buffer.concat(this.#parts);
    const line = whole.at(-1) === CR ? whole.subarray(0, -1) : whole;
    [this.#parts, this.#partBytes] = [[], 0];
    this.#last += 1;
    this.#frame.take({ number: this.#last, bytes: whole });
    if (this.#last <= this.#done || !isPasskey(line)) return;
    this.#held.set(this.#last, line);
    this.#heldBytes += line.length;
  }
}

/** False for an empty line, and for those of an export that are about the export. */
function isPasskey(line: Buffer): boolean {
  const beginning = line.toString('latin1', 0, 64);
  return /[^ \t]/.test(beginning) && !/^\s*\{\s*"kind"\s*:/.test(beginning);
}
