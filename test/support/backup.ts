import pg from 'pg';
import { createTestDatabase, type TestDatabase } from './database.js';
import type { TestService } from './service.js';

/** Everything that the service stores, for the backup of a day. */
export const BACKED_UP = [
  ...(['credential', 'user_handle', 'relying_party'] as const),
  ...(['audit_event', 'audit_pending', 'audit_leaf', 'audit_node', 'audit_checkpoint'] as const),
] as const;

/** Copies tables, as a backup of this moment. */
export async function keepTables(service: TestService, name: string, tables: readonly string[]): Promise<void> {
  for (const table of tables)
    await service.sql(`DROP TABLE IF EXISTS ${name}_${table}; CREATE TABLE ${name}_${table} AS TABLE ${table}`);
}

/** Makes a database of tables that were kept, as one restores a backup. */
export async function restoreTables(service: TestService, name: string): Promise<TestDatabase> {
  const database = await createTestDatabase();
  const owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
  for (const table of BACKED_UP) {
    const [rows] = await service.sql<{ all: unknown }>(
      `SELECT coalesce(json_agg(t), '[]') AS all FROM ${name}_${table} AS t`,
    );
    await owner.query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [
      JSON.stringify(rows!.all),
    ]);
  }
  await owner.end();
  return database;
}
