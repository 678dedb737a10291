import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Runs TypeORM's own program with the data source of the build. */
async function typeorm(command: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, DATABASE_URL: database.migratorUrl, FORCE_COLOR: '0' };
  const all = [command, '-d', 'dist/ormconfig.js', ...args];
  return (await promisify(execFile)('node_modules/.bin/typeorm', all, { env })).stdout;
}

/** Lists the changes of columns in the draft of a migration, first those of `up`, then those of `down`. */
async function draftColumns(): Promise<string[]> {
  const draft = await typeorm('migration:generate', '--dryrun', 'src/database/migrations/draft');
  expect(draft).toContain('implements MigrationInterface');
  return draft.match(/ALTER TABLE "\w+" (ADD|DROP|ALTER COLUMN|RENAME COLUMN) "[^`]*/g) ?? [];
}

/** The entity does not declare this default: only the statements use it. */
const DEFAULT = [
  'ALTER TABLE "user_handle" ALTER COLUMN "audit_uid" DROP DEFAULT',
  'ALTER TABLE "user_handle" ALTER COLUMN "audit_uid" SET DEFAULT gen_random_uuid()',
];

it('TypeORM’s program reads the migrations from dist/ormconfig.js', async () => {
  const lines = (await typeorm('migration:show')).trim().split('\n');
  expect(lines[0]).toBe('[X] 1 Initial1764000000000');
  expect(lines.filter((line) => !line.startsWith('[X] '))).toEqual([]);
});

it('TypeORM’s program drafts a migration of the columns in which entities and tables differ', async () => {
  expect(await draftColumns()).toEqual(DEFAULT);
  const session = new pg.Client({ connectionString: database.migratorUrl });
  await session.connect();
  await session.query('ALTER TABLE credential RENAME COLUMN attachment TO attached');
  await session.end();
  expect(await draftColumns()).toEqual([
    'ALTER TABLE "credential" RENAME COLUMN "attached" TO "attachment"',
    ...DEFAULT,
    'ALTER TABLE "credential" RENAME COLUMN "attachment" TO "attached"',
  ]);
});
