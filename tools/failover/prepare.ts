import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { runRoleScript } from '../../src/database/role-scripts.js';

const ROOT = join(import.meta.dirname, '../..');

interface Database {
  url(role: string): string;
}

/** Makes the database, its roles, its schema and its grants, in the order of docs/runbook.md. */
export async function prepare(database: Database): Promise<void> {
  const superuser = new pg.Client({ connectionString: database.url('postgres').replace(/[^/]+$/, 'postgres') });
  await superuser.connect();
  try {
    await superuser.query('CREATE DATABASE passkey_manager');
  } finally {
    await superuser.end();
  }
  await prepareEmpty(database);
}

/** Does the same in a database that is there. */
export async function prepareEmpty(database: Database): Promise<void> {
  await runRoleScript('roles.sql', database.url('postgres'));
  await runAsMigrator(database, 'migrate.js', '--grants');
}

/** Runs a built program as the owner of the schema. */
export async function runAsMigrator(database: Database, program: string, ...args: readonly string[]): Promise<void> {
  const env = { PATH: process.env['PATH'], DATABASE_URL: database.url('passkey_migrator') };
  await promisify(execFile)(process.execPath, [`dist/commands/${program}`, ...args], { cwd: ROOT, env });
}
