import { type Config, ConfigError } from '../config/config.js';
import { describeConnectionFailure } from '../database/connection-failure.js';
import { createCeremonyPool } from '../database/data-source.js';
import { adaptPool, type Queryable } from '../database/named-statement.js';
import { runRoleScript } from '../database/role-scripts.js';
import { demandSchema, migrate } from '../database/schema.js';
import { checkSessions } from '../database/session-check.js';
import { reportStep, startEmbeddedPostgres } from './development-files.js';

export interface OpenDatabase {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

type RecordStart = (through: Queryable, migrations: string[]) => Promise<void>;

/**
 * Opens the database in the configuration, or the embedded one. In development it migrates the database. In production
 * `npm run migration:run` must have run before: a schema that lacks a migration of this version stops the boot. (A
 * schema with more migrations belongs to a later version, and fits.)
 *
 * @param begin called with the migrations that ran, before anything else is recorded
 * @throws ConfigError if the database cannot be used
 */
export async function openDatabase(
  config: Pick<Config, 'databaseUrl' | 'databasePasswordFile' | 'dataDir' | 'production'>,
  begin: RecordStart,
): Promise<OpenDatabase> {
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const url = embedded?.url ?? config.databaseUrl!;
  const stop = async (): Promise<void> => embedded?.stop();
  try {
    if (!config.production) await migrate(embedded?.migratorUrl ?? url, begin, config.databasePasswordFile, reportStep);
    if (embedded) await runRoleScript('grants.sql', embedded.migratorUrl);
    await checkDatabase(url, config, begin);
    return { url, stop };
  } catch (error) {
    await stop();
    throw toConfigError(error);
  }
}

/** Turns a failure of the database into a ConfigError, because an operator has to correct its address or the access to it. */
export function toConfigError(error: unknown): unknown {
  const told = describeConnectionFailure(error);
  return told === undefined ? error : new ConfigError([`DATABASE_URL names a database that cannot be used: ${told}`]);
}

async function checkDatabase(
  url: string,
  { production, databasePasswordFile }: Pick<Config, 'production' | 'databasePasswordFile'>,
  begin: RecordStart,
): Promise<void> {
  const pool = createCeremonyPool(url, 1, databasePasswordFile);
  try {
    await checkSessions(pool, 'DATABASE_URL');
    if (!production) return;
    const session = await pool.connect();
    await demandSchema(session).finally(() => {
      session.release();
    });
    await begin(adaptPool(pool), []);
  } finally {
    await pool.end();
  }
}
