import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from './support/database.js';

const blocks = [...readFileSync('docs/runbook.md', 'utf8').matchAll(/^ *```sql\n(.*?)^ *```$/gms)];
const statements = blocks
  .flatMap(([, sql = '']) => sql.replaceAll(/--.*$/gm, '').split(';'))
  .map((statement) => statement.trim())
  .filter((statement) => statement.startsWith('SELECT') && !statement.includes('…'));

let database: TestDatabase;
let session: pg.Client;
beforeAll(async () => {
  database = await createTestDatabase();
  session = new pg.Client({ connectionString: database.ownerUrl });
  await session.connect();
});
afterAll(async () => {
  await session.end();
  await database.drop();
});

describe('the queries of docs/runbook.md', () => {
  it.each(statements)('are understood by PostgreSQL: %s', async (statement) => {
    const { rows } = await session.query<object>(`EXPLAIN ${statement}`);
    expect(rows.length).toBeGreaterThan(0);
  });

  it('are found', () => {
    expect(statements.length).toBeGreaterThan(5);
  });
});
