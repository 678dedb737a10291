import { isUtf8 } from 'node:buffer';
import { makeRow, MAX_ROW_BYTES, type Row, type RowFault, type RowSplitter } from './row.js';

const [NEWLINE, QUOTE, BACKSLASH] = [0x0a, 0x22, 0x5c];
const [OBJECT, OBJECT_END, ARRAY, ARRAY_END] = [0x7b, 0x7d, 0x5b, 0x5d];
/** What may stand between two rows: white space, commas, and the brackets of the array. */
const BETWEEN = new Set([0x20, 0x09, 0x0d, NEWLINE, 0x2c, ARRAY, ARRAY_END]);

/**
 * Splits a JSON array, or JSON objects one after another, into rows. An object that does not end costs its row alone: a brace at
 * the beginning of a line begins the next one.
 */
export class JsonRows implements RowSplitter {
  #line = 1;
  #isLineStart = true;
  #depth = 0;
  #isString = false;
  #isEscaped = false;
  #begin = 0;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The last line that has something between the rows that is no row. */
  #strayLine = 0;

  *push(chunk: Buffer): Generator<Row | RowFault> {
    let start = this.#depth > 0 ? 0 : -1;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index]!;
      if (this.#depth === 0) {
        if (byte === OBJECT) start = this.#open(index);
        else if (!BETWEEN.has(byte)) yield* this.#findStray();
      } else if (byte === OBJECT && this.#isLineStart) {
        this.#release();
        yield { line: this.#begin, fault: 'is not JSON: an object does not end' };
        start = this.#open(index);
      } else if (this.#step(byte)) {
        this.#keep(chunk.subarray(start, index + 1));
        yield this.#endRow();
        start = -1;
      }
      this.#isLineStart = byte === NEWLINE;
      if (byte === NEWLINE) this.#line += 1;
    }
    if (this.#depth > 0) this.#keep(chunk.subarray(start));
  }

  *end(): Generator<Row | RowFault> {
    if (this.#depth > 0) yield { line: this.#begin, fault: 'is not JSON: an object does not end' };
    this.#release();
  }

  #open(index: number): number {
    [this.#depth, this.#isString, this.#isEscaped, this.#begin] = [1, false, false, this.#line];
    return index;
  }

  /** Follows the nesting. @returns true if the row ends with this byte */
  #step(byte: number): boolean {
    if (this.#isString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE || byte === NEWLINE) this.#isString = false;
    } else if (byte === QUOTE) this.#isString = true;
    else if (byte === OBJECT || byte === ARRAY) this.#depth += 1;
    else if (byte === OBJECT_END || byte === ARRAY_END) this.#depth -= 1;
    return this.#depth === 0;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes <= MAX_ROW_BYTES) this.#parts.push(Buffer.from(part));
    else this.#parts = [];
  }

  #release(): { bytes: Buffer; isTooLong: boolean } {
    const row = { bytes: Buffer.concat(this.#parts), isTooLong: this.#bytes > MAX_ROW_BYTES };
    [this.#parts, this.#bytes, this.#depth] = [[], 0, 0];
    return row;
  }

  #endRow(): Row | RowFault {
    const line = this.#begin;
    const { bytes, isTooLong } = this.#release();
    if (isTooLong) return { line, fault: `is longer than ${String(MAX_ROW_BYTES / 1_024)} KiB` };
    if (!isUtf8(bytes)) return { line, fault: 'is not UTF-8' };
    try {
      return makeRow(line, Object.entries(JSON.parse(bytes.toString('utf8')) as object));
    } catch {
      return { line, fault: 'is not JSON' };
    }
  }

  *#findStray(): Generator<RowFault> {
    if (this.#strayLine === this.#line) return;
    this.#strayLine = this.#line;
    yield { line: this.#line, fault: 'has something that is no JSON object' };
  }
}
