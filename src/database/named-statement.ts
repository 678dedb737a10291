import type pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';

export type Queryable = Pick<DataSource | EntityManager, 'query'>;

export interface NamedStatement<Row> {
  readonly name: string;
  readonly text: string;
  run(through: Queryable, values: readonly unknown[]): Promise<Row[]>;
}

/**
 * A statement that PostgreSQL parses and plans once for each connection. TypeORM hands its first argument to `pg` as it
 * is, and `pg` takes `{ name, text }`; TypeORM's types do not know that, so this file is the only place that relies on it.
 */
export function named<Row = unknown>(name: string, text: string): NamedStatement<Row> {
  return {
    name,
    text,
    run: (through, values) => through.query({ name, text } as never, values as unknown[]),
  };
}

/** A pool, for statements that do without TypeORM. */
export function throughPool(pool: Pick<pg.Pool, 'query'>): Queryable {
  return {
    query: (statement: unknown, values?: unknown[]) =>
      pool.query(statement as pg.QueryConfig, values).then(({ rows }) => rows as never),
  };
}
