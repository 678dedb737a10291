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

/** Says on standard error what a start does that takes a while. The first line of standard output names the ports. */
export function reportStep(step: string): void {
  process.stderr.write(`${step} …\n`);
}

/** @throws ConfigError when the directory cannot be written */
async function write<Result>(dataDir: string, writing: () => Promise<Result>): Promise<Result> {
  try {
    return await writing();
  } catch (error) {
    const { code = '', path, syscall } = error as NodeJS.ErrnoException;
    if (syscall === undefined || !path || !(path.startsWith(dataDir) || dataDir.startsWith(path))) throw error;
    throw new ConfigError([`PASSKEY_DATA_DIR names "${dataDir}", which cannot be written (${code})`]);
  }
}

/**
 * Generates the files that a development start needs and that the data directory lacks.
 *
 * @throws ConfigError when the directory cannot be written
 */
export async function prepareDevelopment(dataDir: string): Promise<void> {
  const development = await load(() => import('../../dev/prepare-development.js'));
  await write(dataDir, () => development.prepareDevelopment(dataDir, reportStep));
}

/** @throws EmbeddedPostgresError when PostgreSQL cannot run on this machine, ConfigError when the directory cannot be written */
export async function startEmbeddedPostgres(directory: string): Promise<EmbeddedPostgres> {
  const embedded = await load(() => import('../../dev/embedded-postgres/embedded-postgres.js'));
  return write(directory, () => embedded.startEmbeddedPostgres({ directory, onStep: reportStep }));
}

/**
 * Finds the embedded database that a running service has in the directory.
 *
 * @returns the URL of its superuser; undefined if no service runs
 * @throws EmbeddedPostgresError when PostgreSQL cannot run on this machine, ConfigError when the directory cannot be written
 */
export async function findEmbeddedPostgres(directory: string): Promise<string | undefined> {
  const embedded = await load(() => import('../../dev/embedded-postgres/embedded-postgres.js'));
  return write(directory, () => embedded.findEmbeddedPostgres(directory));
}
