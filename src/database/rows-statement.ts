import { nameStatement, type Queryable } from './named-statement.js';

/** A named statement that handles many rows at once, in one transaction, with the same effect as one run per row. */
export interface RowsStatement<Row, Result> {
  readonly name: string;
  readonly text: string;
  /** The number of its parameters. */
  readonly parameters: number;
  /** Returns the result of each row, in the order of the rows. undefined: the row has no result. */
  run(through: Queryable, rows: readonly Row[]): Promise<(Result | undefined)[]>;
}

interface Shape<Row> {
  readonly name: string;
  readonly text: string;
  /** Encodes a row for PostgreSQL as the members of a JSON record. */
  readonly record: (row: Row) => Readonly<Record<string, unknown>>;
  /** $2, if rows have one: a long text without line breaks, which is sent outside the JSON. */
  readonly line?: (row: Row) => string;
  /** $2 or $3 and later: the values that all rows share. */
  readonly shared?: (rows: readonly [Row, ...Row[]]) => readonly unknown[];
}

/** SQL: the rows of $1, with their number in `ordinality`. */
export function rowsSql(columns: string): string {
  return `ROWS FROM (json_to_recordset($1::json) AS (${columns})) WITH ORDINALITY`;
}

/** SQL: the same rows, with the line of each from $2 in the column `line`. */
export function rowsWithLineSql(columns: string, line: string): string {
  return `(SELECT *, string_to_table AS ${line}
             FROM ROWS FROM (json_to_recordset($1::json) AS (${columns}), string_to_table($2::text, E'\\n')) WITH ORDINALITY)`;
}

/** Encodes bytes in PostgreSQL's text form, because JSON has none. */
export function toByteaText(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`;
}

/**
 * Makes a statement whose rows are one JSON parameter. JavaScript and PostgreSQL take less time for JSON than for
 * arrays. A result names its row by its `ordinality`, as `n`.
 */
export function createRowsStatement<Row, Result>({
  name,
  text,
  record,
  line,
  shared,
}: Shape<Row>): RowsStatement<Row, Result> {
  const statement = nameStatement<Result & { readonly n: number }>(name, text);
  const parameters = Math.max(...Array.from(text.matchAll(/\$(\d+)/g), ([, number]) => Number(number)));
  return {
    name,
    text,
    parameters,
    run: async (through, rows) => {
      const lines = line ? [rows.map(line).join('\n')] : [];
      const values = [JSON.stringify(rows.map(record)), ...lines, ...(shared?.(rows as [Row, ...Row[]]) ?? [])];
      const found = await statement.run(through, values);
      const results = Array<Result | undefined>(rows.length).fill(undefined);
      for (const result of found) results[result.n - 1] = result;
      return results;
    },
  };
}
