import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { createDataSourceOptions } from './data-source.js';
import { CEREMONY_STATEMENTS } from '../../test/support/ceremony-statements.js';
import { nameStatement } from './named-statement.js';

let database: TestDatabase;
let dataSource: DataSource;
beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await new DataSource({
    ...createDataSourceOptions(database.url),
    poolSize: 1,
  } as DataSourceOptions).initialize();
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

interface Prepared {
  readonly name: string;
  readonly statement: string;
  readonly runs: number;
}

const listPrepared = (): Promise<Prepared[]> =>
  dataSource.query(
    'SELECT name, statement, (generic_plans + custom_plans)::integer AS runs FROM pg_prepared_statements ORDER BY name',
  );

const ADD = nameStatement<{ sum: number }>('add', 'SELECT $1::integer + $2::integer AS sum');

describe('a named statement', () => {
  it('is prepared by PostgreSQL once for a connection, and then reused', async () => {
    expect(await ADD.run(dataSource, [1, 2])).toEqual([{ sum: 3 }]);
    expect(await ADD.run(dataSource, [3, 4])).toEqual([{ sum: 7 }]);
    expect(await listPrepared()).toEqual([{ name: 'add', statement: ADD.text, runs: 2 }]);
  });

  it('is the same one in a transaction', async () => {
    await dataSource.transaction(async (manager) => {
      expect(await ADD.run(manager, [5, 6])).toEqual([{ sum: 11 }]);
    });
    expect(await listPrepared()).toEqual([expect.objectContaining({ name: 'add', runs: 3 })]);
  });

  it('takes bytes as bytes: pg-native, which does not, is not installed', async () => {
    const bytes = Buffer.from([0, 255, 39, 92]);
    const same = nameStatement<{ bytes: Buffer; length: number }>(
      'bytes',
      'SELECT $1::bytea AS bytes, length($1::bytea)',
    );
    expect(await same.run(dataSource, [bytes])).toEqual([{ bytes, length: 4 }]);
    expect((pg as { native?: unknown }).native ?? null).toBeNull();
  });

  it('never becomes part of the SQL', async () => {
    const echo = nameStatement<{ text: string }>('echo', 'SELECT $1::text AS text');
    const text = "'; DROP TABLE credential; --";
    expect(await echo.run(dataSource, [text])).toEqual([{ text }]);
  });

  it('fails like any other statement', async () => {
    await expect(ADD.run(dataSource, ['x', 2])).rejects.toMatchObject({ code: '22P02' });
    expect(await ADD.run(dataSource, [1, 1])).toEqual([{ sum: 2 }]);
  });
});

describe('the hot statements', () => {
  it('have distinct names, because pg refuses one name for two texts', () => {
    const names = CEREMONY_STATEMENTS.map(({ statement }) => statement.name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(63);
  });

  it.each(CEREMONY_STATEMENTS.map(({ statement, parameters }) => [statement.name, statement, parameters] as const))(
    'include %s, which PostgreSQL can prepare with the stated number of parameters',
    async (name, statement, parameters) => {
      await dataSource.query(`PREPARE "${name}-count" AS ${statement.text}`);
      const [row] = await dataSource.query<{ count: number }[]>(
        'SELECT cardinality(parameter_types) AS count FROM pg_prepared_statements WHERE name = $1',
        [`${name}-count`],
      );
      expect(row?.count).toBe(parameters);
    },
  );
});
