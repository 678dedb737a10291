/**
 * Reads the rows of a dump, in constant memory: CSV with a header as PostgreSQL's `\copy … csv header` writes it, a JSON
 * array, or JSON objects one after another. The first character says which. A row that cannot be read is a `RowFault` and
 * stops nothing.
 *
 * `csv-rows.ts` and `json-rows.ts` find where a row ends, `cells.ts` reads its columns.
 */
import { CsvRows } from './csv-rows.js';
import { JsonRows } from './json-rows.js';
import { DumpError, type Row, type RowFault, type RowSplitter } from './row.js';

const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** The first bytes that decide about the format: a byte order mark and some white space. */
const HEAD_BYTES = 256;

/**
 * Reads a dump.
 *
 * @param onHeader called with the columns of a CSV file before its first row
 * @throws DumpError if the file is UTF-16 or its header cannot be read
 */
export async function* readRows(
  chunks: AsyncIterable<Buffer>,
  onHeader: (columns: readonly string[]) => void,
): AsyncGenerator<Row | RowFault> {
  let head = Buffer.of();
  let splitter: RowSplitter | undefined;
  for await (const chunk of chunks) {
    if (splitter) {
      yield* splitter.push(chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < HEAD_BYTES) continue;
    splitter = openSplitter(head, onHeader);
    yield* splitter.push(withoutMark(head));
  }
  if (!splitter) {
    splitter = openSplitter(head, onHeader);
    yield* splitter.push(withoutMark(head));
  }
  yield* splitter.end();
}

const withoutMark = (bytes: Buffer): Buffer =>
  bytes.subarray(0, 3).equals(UTF8_MARK) ? bytes.subarray(UTF8_MARK.length) : bytes;

function openSplitter(head: Buffer, onHeader: (columns: readonly string[]) => void): RowSplitter {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    throw new DumpError('is UTF-16: write it as UTF-8');
  const [first] = /[^\s]/u.exec(withoutMark(head).toString('latin1')) ?? [];
  return first === '[' || first === '{' ? new JsonRows() : new CsvRows(onHeader);
}
