import { DataSource } from 'typeorm';
import { type Config, ConfigError } from '../config/config.js';
import { isDatabaseUnavailable } from '../http/database-unavailable.js';
import { createDataSourceOptions, migrate } from '../database/data-source.js';
import { reportStep, startEmbeddedPostgres } from './development-files.js';
import { runRoleScript } from '../database/role-scripts.js';

export interface OpenDatabase {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

type RecordStart = (dataSource: DataSource, migrations: string[]) => Promise<void>;

/**
 * Opens the database in the configuration, or the embedded one. In development it migrates the database. In production
 * `npm run migration:run` must have run before: a schema that lacks a migration of this version stops the boot. (A
 * schema with more migrations belongs to a later version, and fits.)
 *
 * @param begin called with the migrations that ran, before anything else is recorded
 */
export async function openDatabase(
  config: Pick<Config, 'databaseUrl' | 'databasePasswordFile' | 'dataDir' | 'production'>,
  begin: RecordStart,
): Promise<OpenDatabase> {
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const url = embedded?.url ?? config.databaseUrl!;
  const stop = async (): Promise<void> => embedded?.stop();
  try {
    if (config.production) await demandSchema(url, config.databasePasswordFile, begin);
    else await migrate(embedded?.migratorUrl ?? url, begin, config.databasePasswordFile, reportStep);
    if (embedded) await runRoleScript('grants.sql', embedded.migratorUrl);
    return { url, stop };
  } catch (error) {
    await stop();
    throw toConfigError(error) ?? error;
  }
}

/**
 * Turns a failed first connection into a ConfigError, because the operator has to correct the address of the database
 * or the access to it.
 */
function toConfigError(error: unknown): ConfigError | undefined {
  const { code = '', message } = error as Error & { code?: string };
  return isDatabaseUnavailable(error)
    ? new ConfigError([`DATABASE_URL names a database that cannot be used: ${message || code}`])
    : undefined;
}

async function demandSchema(url: string, passwordFile: string | undefined, begin: RecordStart): Promise<void> {
  const dataSource = await new DataSource(createDataSourceOptions(url, 1, passwordFile)).initialize();
  try {
    if (await dataSource.showMigrations()) {
      throw new ConfigError([
        'The database lacks migrations of this version: run `npm run migration:run` as its migrator',
      ]);
    }
    await begin(dataSource, []);
  } finally {
    await dataSource.destroy();
  }
}
