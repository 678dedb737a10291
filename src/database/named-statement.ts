import type pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';

export type Queryable = Pick<DataSource | EntityManager, 'query'>;

export interface NamedStatement<Row> {
  readonly name: string;
  readonly text: string;
  run(through: Queryable, values: readonly unknown[]): Promise<Row[]>;
}

/**
 * Makes a statement that PostgreSQL parses and plans once per connection. TypeORM passes its first argument to `pg`
 * unchanged, and `pg` accepts `{ name, text }`. The types of TypeORM do not know that, so only this file relies on it.
 */
export function nameStatement<Row = unknown>(name: string, text: string): NamedStatement<Row> {
  return {
    name,
    text,
    run: (through, values) => through.query({ name, text } as never, values as unknown[]),
  };
}

/** Adapts a pool for statements that do not need TypeORM. */
export function adaptPool(pool: Pick<pg.Pool, 'query'>): Queryable {
  return {
    query: (statement: unknown, values?: unknown[]) =>
      pool.query(statement as pg.QueryConfig, values).then(({ rows }) => rows as never),
  };
}

/**
 * SQL: commits the transaction of the statement without waiting for the disk. It takes effect only if the statement
 * joins it.
 */
export const ASYNCHRONOUS = `asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))`;
