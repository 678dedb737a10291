import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { ConfigError } from '../config/config.js';
import { openDatabase } from './open-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const told: string[][] = [];
const openAndStop = async (production: boolean, databaseUrl: string): Promise<void> => {
  const config = { production, databaseUrl, databasePasswordFile: undefined, dataDir: '' };
  const { stop } = await openDatabase(config, (_, names) => {
    told.push(names);
    return Promise.resolve();
  });
  await stop();
};

async function runAsOwner(sql: string): Promise<void> {
  const session = new pg.Client({ connectionString: database.ownerUrl });
  await session.connect();
  await session.query(sql).finally(() => session.end());
}

const NOT_ALLOWED = 'DATABASE_URL names a database that cannot be used: permission denied for schema public';

describe('the service’s role', () => {
  it.each([false, true])('opens a migrated database (production: %s)', async (production) => {
    await expect(openAndStop(production, database.url)).resolves.toBeUndefined();
  });

  it('does not migrate', async () => {
    await runAsOwner('DELETE FROM schema_migration');
    await expect(openAndStop(false, database.url)).rejects.toThrow(new ConfigError([NOT_ALLOWED]));
    await expect(openAndStop(true, database.url)).rejects.toThrow(/lacks migrations of this version/);
    // One call for each of the two that opened; neither ran a migration.
    expect(told).toEqual([[], []]);
  });

  it('can do nothing in a database that has no schema yet', async () => {
    await runAsOwner('DROP TABLE schema_migration');
    await expect(openAndStop(false, database.url)).rejects.toThrow(NOT_ALLOWED);
  });
});
