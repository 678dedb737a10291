import type { EmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';
import { ConfigError } from '../config/config.js';

/** Loads `dev/`, which the image leaves out. @throws ConfigError when it is not there */
async function load<Module>(importing: () => Promise<Module>): Promise<Module> {
  try {
    return await importing();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new ConfigError([
      'A development start needs the folder dev, which this build lacks: set NODE_ENV=production',
    ]);
  }
}

/** Generates the files that a development start needs and that the data directory lacks. */
export async function prepareDevelopment(dataDir: string): Promise<void> {
  const development = await load(() => import('../../dev/prepare-development.js'));
  await development.prepareDevelopment(dataDir);
}

/** @throws EmbeddedPostgresError when PostgreSQL cannot run on this machine */
export async function startEmbeddedPostgres(directory: string): Promise<EmbeddedPostgres> {
  const embedded = await load(() => import('../../dev/embedded-postgres/embedded-postgres.js'));
  return embedded.startEmbeddedPostgres({ directory });
}
