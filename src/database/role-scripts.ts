import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import { DatabaseSession } from './database-session.js';

/** What operators run by psql. The container image, which makes no roles, does not carry it. */
export type RoleScript = 'roles.sql' | 'grants.sql';

/** @param edit of the script's text, for roles of other names */
export async function runRoleScript(
  script: RoleScript,
  url: string | pg.ClientConfig,
  edit: (sql: string) => string = (sql) => sql,
): Promise<void> {
  const root = pathToFileURL(findPackageJSON(import.meta.url)!);
  const sql = edit(await readFile(new URL(`deploy/postgres/${script}`, root), 'utf8'));
  const session = new DatabaseSession(typeof url === 'string' ? { connectionString: url } : url);
  await session.connect();
  try {
    await session.query(sql);
  } finally {
    await session.end();
  }
}
