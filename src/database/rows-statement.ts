import { named, type Queryable } from './named-statement.js';

/** A named statement that does for many rows at once, in one transaction, what it would do for each. */
export interface RowsStatement<Row, Result> {
  readonly name: string;
  readonly text: string;
  /** How many parameters it takes. */
  readonly parameters: number;
  /** The result of each row in its place; undefined: it has none. */
  run(through: Queryable, rows: readonly Row[]): Promise<(Result | undefined)[]>;
}

interface Shape<Row> {
  readonly name: string;
  readonly text: string;
  /** A row as it goes to PostgreSQL: the members of a record. */
  readonly record: (row: Row) => Readonly<Record<string, unknown>>;
  /** $2, where rows have one: a text of one line, which is long and goes as it is. */
  readonly line?: (row: Row) => string;
  /** $2 or $3, …: what goes for all rows. */
  readonly shared?: (rows: readonly [Row, ...Row[]]) => readonly unknown[];
}

/** SQL: the rows, as $1 holds them, with their number in `ordinality`. */
export function rowsOf(columns: string): string {
  return `ROWS FROM (json_to_recordset($1::json) AS (${columns})) WITH ORDINALITY`;
}

/** SQL: the same with the line of each, from $2, in this column. */
export function rowsWithLine(columns: string, line: string): string {
  return `(SELECT *, string_to_table AS ${line}
             FROM ROWS FROM (json_to_recordset($1::json) AS (${columns}), string_to_table($2::text, E'\\n')) WITH ORDINALITY)`;
}

/** PostgreSQL's text form of bytes, which JSON has none for. */
export function hex(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`;
}

/**
 * All rows are one parameter, JSON: it takes JavaScript and PostgreSQL less time than arrays do. A result names its row by
 * the row's `ordinality`, as `n`.
 */
export function forRows<Row, Result>({ name, text, record, line, shared }: Shape<Row>): RowsStatement<Row, Result> {
  const statement = named<Result & { readonly n: number }>(name, text);
  const parameters = Math.max(...Array.from(text.matchAll(/\$(\d+)/g), ([, number]) => Number(number)));
  return {
    ...{ name, text, parameters },
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
