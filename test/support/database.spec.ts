import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase } from './database.js';

async function tablesOf(url: string): Promise<string[]> {
  const session = new pg.Client({ connectionString: url });
  await session.connect();
  const { rows } = await session.query<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
  );
  await session.end();
  return rows.map(({ name }) => name);
}

describe('createTestDatabase', () => {
  it('gives each its own, with the schema, even when many ask at once', async () => {
    const databases = await Promise.all(Array.from({ length: 6 }, createTestDatabase));
    expect(new Set(databases.map(({ url }) => url)).size).toBe(6);
    for (const { url, drop } of databases) {
      expect(await tablesOf(url)).toEqual(expect.arrayContaining(['credential', 'schema_migration']));
      await drop();
      await expect(tablesOf(url)).rejects.toMatchObject({ code: '3D000' });
    }
  });

  it('drops a database in use', async () => {
    const { url, drop } = await createTestDatabase();
    const session = new pg.Client({ connectionString: url });
    session.on('error', () => undefined);
    await session.connect();
    await drop();
    await expect(session.query('SELECT 1')).rejects.toThrow();
  });
});
