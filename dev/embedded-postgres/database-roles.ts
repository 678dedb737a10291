import { randomBytes } from 'node:crypto';
import { runRoleScript } from '../../src/database/role-scripts.js';
import { type Cluster, SUPERUSER } from './cluster.js';
import type { OwnedServer } from './ownership.js';

/** The roles in deploy/postgres/roles.sql. */
const [MIGRATOR, SERVICE] = ['passkey_migrator', 'passkey_manager'];

/** Makes the database and its roles if they are absent, and sets new passwords for the roles at every start. */
export async function prepareDatabase(
  { password }: Cluster,
  { lock, port }: OwnedServer,
  database: string,
): Promise<{ url: string; migratorUrl: string }> {
  const found = await lock.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
  if (found.rowCount === 0) await lock.query(`CREATE DATABASE ${lock.escapeIdentifier(database)}`);
  const superuser = { host: '127.0.0.1', port, user: SUPERUSER, password, database, ssl: false };
  // The role of the service owns nothing, not even in a directory where it once did.
  await runRoleScript('roles.sql', superuser, (sql) => `${sql}; REASSIGN OWNED BY ${SERVICE} TO ${MIGRATOR}`);
  const renewPassword = async (role: string): Promise<string> => {
    const secret = randomBytes(24).toString('base64url');
    await lock.query(`ALTER ROLE ${role} PASSWORD ${lock.escapeLiteral(secret)}`);
    return `postgresql://${role}:${secret}@127.0.0.1:${String(port)}/${encodeURIComponent(database)}`;
  };
  return { url: await renewPassword(SERVICE), migratorUrl: await renewPassword(MIGRATOR) };
}
