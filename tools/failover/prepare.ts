import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { runRoleScript } from '../../src/database/role-scripts.js';
import type { Cluster } from './cluster.js';

const ROOT = join(import.meta.dirname, '../..');

/** Makes the database, its roles, its schema and its grants, in the order of docs/runbook.md. */
export async function prepare(cluster: Cluster): Promise<void> {
  const superuser = new pg.Client({ connectionString: cluster.url('postgres').replace(/[^/]+$/, 'postgres') });
  await superuser.connect();
  try {
    await superuser.query('CREATE DATABASE passkey_manager');
  } finally {
    await superuser.end();
  }
  await runRoleScript('roles.sql', cluster.url('postgres'));
  const env = { PATH: process.env['PATH'], DATABASE_URL: cluster.url('passkey_migrator') };
  await promisify(execFile)(process.execPath, ['dist/commands/migrate.js', '--grants'], { cwd: ROOT, env });
}
