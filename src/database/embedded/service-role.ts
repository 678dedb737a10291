import { randomBytes } from 'node:crypto';
import type pg from 'pg';

/** Owns the database and may create others (the tests do); no superuser, as in production. */
export const ROLE = 'passkey_manager';

/** Makes the role and its database where absent. Returns the role's password, which is new at every start. */
export async function prepareDatabase(superuser: pg.Client, database: string): Promise<string> {
  const password = randomBytes(24).toString('base64url');
  const role = await superuser.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [ROLE]);
  if (role.rowCount === 0) await superuser.query(`CREATE ROLE ${ROLE} LOGIN CREATEDB`);
  await superuser.query(`ALTER ROLE ${ROLE} PASSWORD ${superuser.escapeLiteral(password)}`);
  const found = await superuser.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
  if (found.rowCount === 0) {
    await superuser.query(`CREATE DATABASE ${superuser.escapeIdentifier(database)} OWNER ${ROLE}`);
  }
  return password;
}
