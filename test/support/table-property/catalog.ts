import type pg from 'pg';

/** A column as the catalog describes it. */
export interface Column {
  readonly name: string;
  /** The name of its type without a length or a precision, such as `timestamp with time zone`. */
  readonly type: string;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  /** The columns that name a row: the primary key, or all columns of a table without one. */
  readonly key: readonly string[];
  /** The columns of each unique index. */
  readonly unique: readonly (readonly string[])[];
}

/** Reads the tables of the schema from the catalog. Partitions are part of their table. */
export async function readTables(owner: pg.Client): Promise<Table[]> {
  const { rows } = await owner.query<{
    table: string;
    columns: Column[];
    indexes: { primary: boolean; columns: string[] }[];
  }>(`
    SELECT relname AS table,
           (SELECT json_agg(json_build_object('name', attname, 'type', format_type(atttypid, NULL)) ORDER BY attnum)
              FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped) AS columns,
           (SELECT coalesce(json_agg(json_build_object('primary', indisprimary, 'columns', ARRAY(
                     SELECT attname FROM unnest(indkey::smallint[]) WITH ORDINALITY AS k (attnum, n)
                       JOIN pg_attribute USING (attnum) WHERE attrelid = t.oid ORDER BY n))), '[]')
              FROM pg_index WHERE indrelid = t.oid AND indisunique) AS indexes
      FROM pg_class t
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
     ORDER BY relname`);
  return rows.map(({ table, columns, indexes }) => ({
    name: table,
    columns,
    key: indexes.find(({ primary }) => primary)?.columns ?? columns.map(({ name }) => name),
    unique: indexes.map((index) => index.columns),
  }));
}
