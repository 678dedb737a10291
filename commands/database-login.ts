import { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import {
  ALLOW_UNVERIFIED,
  type DatabaseLogin,
  readDatabaseLogin,
  SERVICE_LOGIN,
} from '../src/config/database-settings.js';
import { createCommandOptions } from '../src/database/data-source.js';
import { Settings } from '../src/config/settings.js';
import { UsageError } from './command-line.js';

/** The role of a program that reads all tables. */
export const READER = 'a role that may read all tables: the service’s or the migrator’s';

/** Describes the environment variables that name the database. @param role the role that the program needs */
export function describeLogin(role: string): Readonly<Record<string, string>> {
  return {
    [SERVICE_LOGIN.url]: `The database, with ${role}.`,
    [SERVICE_LOGIN.urlFile]: 'The file of that URL, instead of the variable.',
    [SERVICE_LOGIN.passwordFile]: 'The file of the password, for a URL without one.',
    [ALLOW_UNVERIFIED]: 'true: the database is on another machine, and its URL has no sslmode=verify-full.',
  };
}

/**
 * Reads the login of a program, in every environment as the service does in production.
 *
 * @param role the role that the program needs
 * @throws UsageError
 */
export function readLogin(env: NodeJS.ProcessEnv, role: string): DatabaseLogin {
  const settings = new Settings(env);
  const login = readDatabaseLogin(settings, SERVICE_LOGIN, settings.readFlag(ALLOW_UNVERIFIED) ? 'any' : 'verified');
  if (settings.mistakes.length > 0) throw new UsageError(`${settings.mistakes.join('.\n')}.`);
  if (!login) throw new UsageError(`DATABASE_URL is not set: name the database, with ${role}.`);
  return login;
}

/**
 * Opens sessions that cannot change anything, so a standby will do.
 *
 * @param role the role whose rights the sessions have; undefined: that of the login
 */
export async function openToRead(
  { url, passwordFile }: DatabaseLogin,
  entities: (new () => object)[],
  role?: string,
): Promise<DataSource> {
  const options = createCommandOptions(url, passwordFile) as PostgresDataSourceOptions;
  const settings = ['-c default_transaction_read_only=on', ...(role === undefined ? [] : [`-c role=${role}`])];
  const extra = { ...(options.extra as object), writes: false, options: settings.join(' ') };
  return new DataSource({ ...options, extra, entities }).initialize();
}
