import { isUtf8 } from 'node:buffer';

/** The reason why a line does not verify. The reader of the lines adds the line's number. */
export class LineFault extends Error {
  override readonly name = 'LineFault';
}

/** The reason why an export, or the evidence that it is checked against, does not verify. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
  /** The first line that does not verify, from 1; undefined when the fault is not in the export. */
  readonly line: number | undefined;
  /** The last line of the range that holds the fault; the same as `line` when the line is known. */
  readonly lastLine: number | undefined;

  constructor(reason: string, line?: number, lastLine = line) {
    const where = line === lastLine ? `line ${String(line)}` : `lines ${String(line)}\u2013${String(lastLine)}`;
    super(line === undefined ? reason : `${where}: ${reason}`);
    [this.line, this.lastLine] = [line, lastLine];
  }
}

/** The limit for a line without its newline. */
const MAX_LINE_BYTES = 2 ** 20;
const NEWLINE = 0x0a;

/** Splits a stream of bytes into lines of UTF-8. The last line may lack its newline. */
export class LineSplitter {
  #line = 1;
  #parts: Uint8Array[] = [];
  #length = 0;

  /** The lines that end in this chunk. @throws ExportError */
  *push(chunk: Uint8Array | string): Generator<string> {
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      yield this.#take(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
  }

  /** The last line, if it lacks its newline. @throws ExportError */
  *end(): Generator<string> {
    if (this.#length > 0) yield this.#take(Buffer.of());
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#length += part.length;
    if (this.#length > MAX_LINE_BYTES) throw new ExportError('is longer than 1 MiB', this.#line);
  }

  #take(last: Buffer): string {
    let line = last;
    if (this.#length > 0) {
      this.#keep(last);
      line = Buffer.concat(this.#parts);
    } else if (line.length > MAX_LINE_BYTES) throw new ExportError('is longer than 1 MiB', this.#line);
    [this.#parts, this.#length] = [[], 0];
    if (!isUtf8(line)) throw new ExportError('is not UTF-8', this.#line);
    this.#line += 1;
    return line.toString('utf8');
  }
}

/**
 * Passes chunks on, and hands each line over on the way, so that one reading of a file has two readers.
 *
 * @param take called with a line and its number, from 1
 * @throws ExportError
 */
export async function* passLines(
  chunks: AsyncIterable<Uint8Array>,
  take: (text: string, number: number) => void,
): AsyncGenerator<Uint8Array> {
  const splitter = new LineSplitter();
  let number = 0;
  const takeAll = (lines: Iterable<string>): void => {
    for (const text of lines) take(text, (number += 1));
  };
  for await (const chunk of chunks) {
    takeAll(splitter.push(chunk));
    yield chunk;
  }
  takeAll(splitter.end());
}
