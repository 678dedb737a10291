import { DataSource } from 'typeorm';
import { type Config, ConfigError } from '../config/config.js';
import { databaseUnavailable } from '../problems/database-unavailable.js';
import { dataSourceOptions, migrate } from './data-source.js';
import { startEmbeddedPostgres } from './embedded/embedded-postgres.js';
import { runRoleScript } from './role-scripts.js';

export interface OpenDatabase {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

type Begin = (dataSource: DataSource, migrations: string[]) => Promise<void>;

/**
 * The database that the configuration names, or the embedded one. Development migrates it; production expects that
 * `npm run migration:run` has, and refuses to serve on a schema that lacks something (one that has more is a later
 * version's, and fits).
 *
 * @param begin gets the migrations that ran, before anything else is recorded
 */
export async function openDatabase(config: Config, begin: Begin): Promise<OpenDatabase> {
  const embedded =
    config.databaseUrl === undefined ? await startEmbeddedPostgres({ directory: config.dataDir }) : undefined;
  const url = embedded?.url ?? config.databaseUrl!;
  const stop = async (): Promise<void> => embedded?.stop();
  try {
    if (config.production) await demandSchema(url, config.databasePasswordFile, begin);
    else await migrate(embedded?.migratorUrl ?? url, begin, config.databasePasswordFile);
    if (embedded) await runRoleScript('grants.sql', embedded.migratorUrl);
    return { url, stop };
  } catch (error) {
    await stop();
    throw unreachable(error) ?? error;
  }
}

/** A first connection that fails is the operator's to mend: where the database is, or who may use it. */
function unreachable(error: unknown): ConfigError | undefined {
  const { code = '', message } = error as Error & { code?: string };
  return databaseUnavailable(error)
    ? new ConfigError([`DATABASE_URL names a database that cannot be used: ${message || code}`])
    : undefined;
}

async function demandSchema(url: string, passwordFile: string | undefined, begin: Begin): Promise<void> {
  const dataSource = await new DataSource(dataSourceOptions(url, 1, passwordFile)).initialize();
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
