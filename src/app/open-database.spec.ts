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

describe('the service’s role', () => {
  it.each([false, true])('opens a migrated database (production: %s)', async (production) => {
    await expect(openAndStop(production, database.url)).resolves.toBeUndefined();
  });

  it.each([
    ['INSERT on audit_event', 'INSERT ON audit_event'],
    ['DELETE on credential', 'DELETE ON credential'],
    ['UPDATE on approval', 'UPDATE (status, decided_by, decided_at, reason, mac) ON approval'],
  ])('names the first privilege that it lacks: %s', async (missing, privilege) => {
    const role = new URL(database.url).username;
    await runAsOwner(`REVOKE ${privilege} FROM ${role}`);
    await expect(openAndStop(true, database.url)).rejects.toThrow(
      new ConfigError([
        `The role ${role} lacks ${missing}: run the grants as its migrator: npm run migration:run -- --grants`,
      ]),
    );
    await runAsOwner(`GRANT ${privilege} TO ${role}`);
  });

  it('does not migrate', async () => {
    await runAsOwner('DELETE FROM schema_migration');
    await expect(openAndStop(false, database.url)).rejects.toThrow(
      /The role \S+ may not change the schema of the database: run the migrations as \S+: npm run migration:run -- --grants$/,
    );
    await expect(openAndStop(true, database.url)).rejects.toThrow(/lacks migrations of this version/);
    // One call for each of the two that opened; neither ran a migration.
    expect(told).toEqual([[], []]);
  });

  it('says which script gives it its privileges', async () => {
    const role = new URL(database.url).username;
    await runAsOwner(`REVOKE SELECT ON schema_migration FROM ${role}`);
    await expect(openAndStop(true, database.url)).rejects.toThrow(
      new ConfigError([
        `The role ${role} may not read the tables of this service: run the grants as its migrator: npm run migration:run -- --grants`,
      ]),
    );
    await runAsOwner(`REVOKE USAGE ON SCHEMA public FROM ${role}; GRANT SELECT ON schema_migration TO ${role}`);
    await expect(openAndStop(true, database.url)).rejects.toThrow(/may not read the tables of this service/);
    await runAsOwner(`GRANT USAGE ON SCHEMA public TO ${role}`);
  });

  it('can do nothing in a database that has no schema yet, and says what to run', async () => {
    await runAsOwner('DROP TABLE schema_migration');
    await expect(openAndStop(false, database.url)).rejects.toThrow(
      /may not change the schema .* passkey_migrator after deploy\/postgres\/roles.sql/,
    );
    await expect(openAndStop(true, database.url)).rejects.toThrow(
      /no tables of this service: run the migrations as its migrator: npm run migration:run -- --grants/,
    );
  });
});
