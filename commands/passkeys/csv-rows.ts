import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import { DumpError, makeRow, MAX_ROW_BYTES, type Row, type RowFault, type RowSplitter } from './row.js';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
/** psql and MySQL write it for NULL where no quotes are around it. */
const NULL = '\\N';

interface Line {
  readonly number: number;
  /** With its newline. */
  readonly bytes: Buffer;
}

/**
 * Splits CSV (RFC 4180) into rows. A row goes on in the next line while the number of its quotes is odd. If such a row cannot be
 * read, only its first line is given up: the others are read again, so a quote too many costs one line.
 */
export class CsvRows implements RowSplitter {
  readonly #onHeader: (columns: readonly string[]) => void;
  #columns: readonly string[] | undefined;
  #number = 0;
  /** The line that has not ended yet, and how many bytes of it were dropped because it is too long. */
  #open: Buffer[] = [];
  #openBytes = 0;
  /** The lines of a row that has not ended yet. */
  #held: Line[] = [];
  #heldBytes = 0;
  #isQuoted = false;

  constructor(onHeader: (columns: readonly string[]) => void) {
    this.#onHeader = onHeader;
  }

  *push(chunk: Buffer): Generator<Row | RowFault> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end + 1));
      yield* this.#endLine();
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  *end(): Generator<Row | RowFault> {
    if (this.#openBytes > 0) yield* this.#endLine();
    while (this.#held.length > 0) yield* this.#giveUp('a quote in it does not end');
    if (!this.#columns) throw new DumpError('is empty: the first line must name the columns');
  }

  #keep(part: Buffer): void {
    this.#openBytes += part.length;
    if (this.#openBytes <= MAX_ROW_BYTES) this.#open.push(Buffer.from(part));
    else this.#open = [];
  }

  *#endLine(): Generator<Row | RowFault> {
    this.#number += 1;
    const [line, bytes] = [{ number: this.#number, bytes: Buffer.concat(this.#open) }, this.#openBytes];
    [this.#open, this.#openBytes] = [[], 0];
    if (bytes <= MAX_ROW_BYTES) {
      yield* this.#add([line]);
      return;
    }
    while (this.#held.length > 0) yield* this.#giveUp('a quote in it does not end');
    yield this.#fault(line.number, `is longer than ${String(MAX_ROW_BYTES / 1_024)} KiB`);
  }

  *#add(lines: Line[]): Generator<Row | RowFault> {
    for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
      this.#held.push(line);
      this.#heldBytes += line.bytes.length;
      if (countQuotes(line.bytes) % 2 === 1) this.#isQuoted = !this.#isQuoted;
      const fault = this.#isQuoted ? undefined : yield* this.#readHeld();
      const isTooLong = this.#isQuoted && this.#heldBytes > MAX_ROW_BYTES;
      if (fault === undefined && !isTooLong) continue;
      yield this.#fault(this.#held[0]!.number, fault ?? 'a quote in it does not end');
      lines.unshift(...this.#release().slice(1));
    }
  }

  /** Gives up the first line of an unfinished row, and reads the others again. */
  *#giveUp(reason: string): Generator<Row | RowFault> {
    const [first, ...others] = this.#release();
    yield this.#fault(first!.number, reason);
    yield* this.#add(others);
  }

  #release(): Line[] {
    const held = this.#held;
    [this.#held, this.#heldBytes, this.#isQuoted] = [[], 0, false];
    return held;
  }

  /** Reads the row that the held lines are. @returns the fault, with the lines still held */
  *#readHeld(): Generator<Row | RowFault, string | undefined> {
    const { number } = this.#held[0]!;
    const bytes = Buffer.concat(this.#held.map((line) => line.bytes));
    if (!isUtf8(bytes)) return 'is not UTF-8';
    const text = bytes.toString('utf8').replace(/\r?\n$/, '');
    if (text === '' && this.#columns) {
      this.#release();
      return undefined;
    }
    const values = parseRecord(text);
    if (typeof values === 'string') return values;
    if (this.#columns && values.length !== this.#columns.length)
      return `has ${String(values.length)} columns, and the first line ${String(this.#columns.length)}`;
    this.#release();
    if (this.#columns) {
      const cells = values.map((value) => (value === NULL ? '' : value));
      yield makeRow(
        number,
        this.#columns.map((column, index) => [column, cells[index]]),
      );
      return undefined;
    }
    this.#columns = values;
    this.#onHeader(values);
    return undefined;
  }

  #fault(line: number, fault: string): RowFault {
    if (!this.#columns) throw new DumpError(`has no header: line ${String(line)} ${fault}`);
    return { line, fault };
  }
}

function countQuotes(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(QUOTE); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) count += 1;
  return count;
}

/** @returns the values, or why there are none */
function parseRecord(text: string): string[] | string {
  try {
    const records = parse(text, { relax_column_count: true, record_delimiter: ['\r\n', '\n'] });
    return records.length === 1 ? records[0]! : 'is not CSV: a line ends in it without quotes';
  } catch (error) {
    const [sentence = ''] = (error as Error).message.split(':', 1);
    return `is not CSV (${sentence.toLowerCase()})`;
  }
}
