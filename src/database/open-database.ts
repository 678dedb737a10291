import { DataSource } from 'typeorm';
import type { Config } from '../config/config.js';
import { dataSourceOptions, migrate } from './data-source.js';
import { startEmbeddedPostgres } from './embedded/embedded-postgres.js';

export interface OpenDatabase {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/**
 * The database that the configuration names, or the embedded one. Development migrates it; production expects that
 * `npm run migration:run` has, and refuses to serve on a schema that lacks something (one that has more is a later
 * version's, and fits).
 *
 * @param record told which migrations were run
 */
export async function openDatabase(
  config: Config,
  record: (dataSource: DataSource, migrations: string[]) => Promise<void>,
): Promise<OpenDatabase> {
  const embedded =
    config.databaseUrl === undefined ? await startEmbeddedPostgres({ directory: config.dataDir }) : undefined;
  const url = embedded?.url ?? config.databaseUrl!;
  const stop = async (): Promise<void> => embedded?.stop();
  try {
    if (config.production) await demandSchema(url);
    else await migrate(url, record);
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function demandSchema(url: string): Promise<void> {
  const dataSource = await new DataSource(dataSourceOptions(url)).initialize();
  try {
    if (await dataSource.showMigrations()) {
      throw new Error('The database lacks migrations of this version: run `npm run migration:run` as its migrator.');
    }
  } finally {
    await dataSource.destroy();
  }
}
