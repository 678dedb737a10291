import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import { DatabasePool } from './database-pool.js';
import type { SessionSettings } from './database-session.js';

/** Scripts that operators run with psql. The migration can run those of the privileges itself. */
export type RoleScript = 'roles.sql' | 'grants.sql' | 'sequencer.sql';

/** @param edit changes the text of the script, for roles with other names */
export async function runRoleScript(
  script: RoleScript,
  url: string | SessionSettings,
  edit: (sql: string) => string = (sql) => sql,
): Promise<void> {
  const root = pathToFileURL(findPackageJSON(import.meta.url)!);
  const sql = edit(await readFile(new URL(`deploy/postgres/${script}`, root), 'utf8'));
  const settings = typeof url === 'string' ? { connectionString: url } : url;
  const pool = new DatabasePool({ ...settings, writes: true, max: 1 });
  try {
    await pool.query(sql);
  } finally {
    await pool.end();
  }
}
