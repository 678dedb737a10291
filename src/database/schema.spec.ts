import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { AbstractLogger, DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { ENTITIES, openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { createDataSourceOptions } from './data-source.js';
import { migrate } from './schema.js';

/** Hides the output of TypeORM, which prints a failed migration. One migration here fails on purpose. */
class SilentLogger extends AbstractLogger {
  protected override writeLog(): void {
    return undefined;
  }
}

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
afterAll(() => database.close());

/** SQL: tables, columns, constraints and indexes as the database describes them to the owner. */
const STRUCTURE = `
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
           concat_ws(' ', data_type, datetime_precision, is_nullable, column_default) AS what
      FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_migration' AND table_name !~ '^audit_event_'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes
      WHERE schemaname = 'public' AND tablename <> 'schema_migration' AND tablename !~ '^audit_event_'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND conrelid <> 'schema_migration'::regclass
        AND conrelid::regclass::text !~ '^audit_event_'
    ORDER BY 1, 2`;
const readStructure = (dataSource: DataSource): Promise<unknown[]> => dataSource.query(STRUCTURE);

describe('the entities and the migrations', () => {
  it('agree on every table, column, type and null', async () => {
    const { upQueries } = await database.dataSource.driver.createSchemaBuilder().log();
    const beyondEntities = /^(DROP INDEX|ALTER TABLE "\w+" (DROP CONSTRAINT|ALTER COLUMN "audit_uid")) /;
    expect(upQueries.map(({ query }) => query).filter((query) => !beyondEntities.test(query))).toEqual([]);
  });

  it('make tables that PostgreSQL can publish: each has a key or a replica identity', async () => {
    const without = await database.sql(
      `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
          AND relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)`,
    );
    expect(without).toEqual([]);
  });

  it('have the same tables', async () => {
    const tables = await database.sql<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1`,
    );
    const known = database.dataSource.entityMetadatas.map(({ tableName }) => tableName);
    // Only replicas of the previous version use the table challenge.
    const withoutEntity = [
      'challenge',
      'audit_pending',
      'audit_turn',
      'key_check_value',
      'reconciliation',
      'schema_migration',
      'seal_key',
      'seal_phase',
      'signal_model',
      'spent_challenge',
      'spent_challenge_horizon',
      'succession',
      'statistic_ceremony',
      'statistic_credential',
      'statistic_log',
      'statistic_walk',
    ];
    expect(tables.map(({ name }) => name)).toEqual([...known, ...withoutEntity].sort());
    expect(known).toHaveLength(ENTITIES.length);
  });

  it('keep times to the millisecond, as they are shown', async () => {
    const rows = await database.dataSource.query<{ precision: number }[]>(
      `SELECT DISTINCT datetime_precision AS precision FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'`,
    );
    expect(rows).toEqual([{ precision: 3 }]);
  });

  it('keep a credential id unique in each relying party, and the closed lists closed', async () => {
    const checks = await database.dataSource.query<{ def: string }[]>(
      "SELECT pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE contype IN ('u', 'c') AND conrelid IN ('credential'::regclass, 'challenge'::regclass)",
    );
    const definitions = checks.map(({ def }) => def).join('\n');
    expect(definitions).toContain('UNIQUE (credential_id, rp_id)');
    for (const value of ['active', 'suspended', 'revoked', 'registration', 'authentication']) {
      expect(definitions).toContain(`'${value}'`);
    }
  });
});

describe('the migrations', () => {
  let empty: TestDatabase;
  beforeAll(async () => {
    empty = await createTestDatabase();
    const session = new pg.Client({ connectionString: empty.ownerUrl });
    await session.connect();
    await session.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await session.end();
  });
  afterAll(() => empty.drop());

  const useEmptyDatabase = async <T>(work: (dataSource: DataSource) => Promise<T>): Promise<T> => {
    const dataSource = await new DataSource({
      ...createDataSourceOptions(empty.ownerUrl),
      logger: new SilentLogger(),
    }).initialize();
    try {
      return await work(dataSource);
    } finally {
      await dataSource.destroy();
    }
  };
  const countMigrations = (): number => (createDataSourceOptions('').migrations as unknown[]).length;

  it('run once, also when replicas start together, and report which ones ran', async () => {
    const told: string[][] = [];
    const runs = await Promise.all(
      Array.from({ length: 3 }, () =>
        migrate(empty.ownerUrl, (_, names) => {
          told.push(names);
          return Promise.resolve();
        }),
      ),
    );
    expect(runs.map(({ length }) => length).sort()).toEqual([0, 0, countMigrations()]);
    expect(told).toEqual(expect.arrayContaining(runs));
    expect(await migrate(empty.ownerUrl)).toEqual([]);
  });

  it('lead to the schema of the tests', async () => {
    expect(await useEmptyDatabase(readStructure)).toEqual(await database.sql(STRUCTURE));
  });

  it('revert to nothing, and run again to the same schema', async () => {
    await useEmptyDatabase(async (dataSource) => {
      const before = await readStructure(dataSource);
      for (let undone = 0; undone < countMigrations(); undone += 1) await dataSource.undoLastMigration();
      expect(await readStructure(dataSource)).toEqual([]);
      expect(await dataSource.showMigrations()).toBe(true);
      await dataSource.runMigrations();
      expect(await readStructure(dataSource)).toEqual(before);
      expect(await dataSource.showMigrations()).toBe(false);
    });
  });

  it('change nothing when one of them fails', async () => {
    await useEmptyDatabase(async (dataSource) => {
      for (let undone = 0; undone < countMigrations(); undone += 1) await dataSource.undoLastMigration();
      await dataSource.query('CREATE TABLE audit_event (id uuid)');
      await expect(dataSource.runMigrations()).rejects.toThrow('already exists');
      expect(await readStructure(dataSource)).toHaveLength(1);
    });
  });
});
