/** A row may have at most this many bytes. */
export const MAX_ROW_BYTES = 2 ** 18;

/** A row of a dump. */
export interface Row {
  /** The line of the file in which it begins, from 1. */
  readonly line: number;
  /** By the simplified name of the column. */
  readonly cells: ReadonlyMap<string, Cell>;
}

/** What a row holds in a column. */
export interface Cell {
  /** The name of the column in the file. */
  readonly name: string;
  /** More than one if columns have names that are alike. */
  readonly values: readonly unknown[];
}

/** A row that cannot be read. */
export interface RowFault {
  readonly line: number;
  readonly fault: string;
}

/** The file as a whole cannot be read. */
export class DumpError extends Error {
  override readonly name = 'DumpError';
}

/** Splits the bytes of a dump into rows. */
export interface RowSplitter {
  push(chunk: Buffer): Iterable<Row | RowFault>;
  end(): Iterable<Row | RowFault>;
}

/** Names of columns are compared without regard to case and `_`: `credentialID` is `credential_id`. */
export const simplifyName = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');

/** Makes a row. @param entries the columns in their order */
export function makeRow(line: number, entries: Iterable<readonly [name: string, value: unknown]>): Row {
  const cells = new Map<string, Cell>();
  for (const [name, value] of entries) {
    const key = simplifyName(name);
    const alike = cells.get(key);
    cells.set(key, alike ? { name: alike.name, values: [...alike.values, value] } : { name, values: [value] });
  }
  return { line, cells };
}
