import type pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseSession } from '../../src/database/database-session.js';
import { type Cluster, isAlive, SUPERUSER } from './cluster.js';
import { EmbeddedPostgresError } from './embedded-postgres-error.js';
import {
  makeDirectoryName,
  forgetPostmaster,
  findFreePort,
  readLogTail,
  type Postmaster,
  readPostmaster,
  makeServerName,
  startPostmaster,
  stopPostmaster,
} from './postmaster.js';

/**
 * A server in the directory of the cluster. This service owns it as long as `lock` lives, a session that holds an
 * advisory lock.
 */
export interface OwnedServer {
  readonly pid: number;
  readonly port: number;
  /** The makeServerName() of the start that made it. */
  readonly name: string;
  readonly lock: pg.Client;
}

/** Key of the advisory lock in the database `postgres`. Any number will do, because nothing else uses that database. */
const LOCK_KEY = 7_265_465;

/** Time for a server to recover from a crash or to shut down, in milliseconds. */
const PATIENCE = 120_000;
/** Time in which a living process with a closed port counts as a server about to listen, in milliseconds. */
const SILENCE = 3_000;
/** Time for which the lock of a service that was just killed may outlive it, in milliseconds. */
const LINGER = 2_000;

/**
 * Takes ownership of the directory: joins the server that runs there, or starts one, and takes its lock. The service
 * that holds the lock owns the directory; another one leaves the server alone. A server that a killed service left
 * behind is kept, unless it was started with other settings or programs.
 *
 * @param port port for a server that has to be started
 */
export async function takeServer(cluster: Cluster, port?: number): Promise<OwnedServer> {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const server = await joinServer(cluster, deadline);
    if (!server) {
      const started = await startPostmaster(cluster, port ?? (await findFreePort()));
      if (!started) await sleep(100);
      continue;
    }
    // The session is lost if the server was shutting down.
    const lock = await takeLock(server.lock).catch(() => 'lost');
    if (lock === 'held') throw await createInUseError(cluster, server.lock);
    if (lock === 'taken' && server.name === (await makeServerName(cluster))) return server;
    if (lock === 'taken') await stopPostmaster(cluster, server.pid);
    await server.lock.end();
  }
  throw new EmbeddedPostgresError(
    `The embedded database did not start in time. Its log ends:\n${await readLogTail(cluster)}`,
  );
}

/**
 * Finds the server that a service owns at this moment, and leaves it alone.
 *
 * @returns its port; undefined: no service has one in the directory
 */
export async function findOwnedServer(cluster: Cluster): Promise<number | undefined> {
  const postmaster = await readPostmaster(cluster);
  if (!postmaster || !isAlive(postmaster.pid)) return undefined;
  const answer = await connectToServer(cluster, postmaster);
  if (typeof answer === 'string') return undefined;
  try {
    return (await findHolder(answer.lock)) === undefined ? undefined : answer.port;
  } finally {
    await answer.lock.end();
  }
}

/** Opens a session on the server that runs in the directory; undefined: none runs. */
async function joinServer(cluster: Cluster, deadline: number): Promise<OwnedServer | undefined> {
  let silentSince = Date.now();
  while (Date.now() < deadline) {
    const postmaster = await readPostmaster(cluster);
    if (!postmaster || !isAlive(postmaster.pid)) return undefined;
    const attempt = await connectToServer(cluster, postmaster);
    if (typeof attempt === 'object') return attempt;
    if (attempt === 'busy') silentSince = Date.now();
    if (attempt === 'foreign' || Date.now() - silentSince > SILENCE) {
      await forgetPostmaster(cluster, postmaster);
      return undefined;
    }
    await sleep(50);
  }
  throw new EmbeddedPostgresError(
    `The embedded database does not answer. Its log ends:\n${await readLogTail(cluster)}`,
  );
}

/**
 * busy: the server exists but is not ready. silent: nothing listens. foreign: the listener is not the server of this
 * directory.
 */
type Answer = OwnedServer | 'busy' | 'silent' | 'foreign';

async function connectToServer(cluster: Cluster, { pid, port }: Postmaster): Promise<Answer> {
  if (port === undefined) return 'silent';
  const lock = new DatabaseSession({
    host: '127.0.0.1',
    port,
    user: SUPERUSER,
    password: cluster.password,
    database: 'postgres',
    ssl: false,
    application_name: `passkey-manager ${String(process.pid)}`,
    connectionTimeoutMillis: 5_000,
  });
  try {
    await lock.connect();
    const { rows } = await lock.query<{ cluster_name: string }>('SHOW cluster_name');
    const name = rows[0]?.cluster_name ?? '';
    if (name.startsWith(await makeDirectoryName(cluster))) return { pid, port, name, lock };
    await lock.end();
    return 'foreign';
  } catch (error) {
    await lock.end();
    return classifyError(error as Error & { code?: string });
  }
}

/**
 * Classifies by SQLSTATE class: 28 (authorization), 3D (no such database), 53 (resources), 57 (starting, shutting
 * down).
 */
function classifyError({ code, message }: Error & { code?: string }): Answer {
  if (code === undefined) return message.includes('timeout') ? 'busy' : 'silent';
  if (/^(53|57)/.test(code)) return 'busy';
  return /^(28|3D)/.test(code) ? 'foreign' : 'silent';
}

async function takeLock(lock: pg.Client): Promise<'taken' | 'held'> {
  const deadline = Date.now() + LINGER;
  do {
    const { rows } = await lock.query<{ taken: boolean }>(`SELECT pg_try_advisory_lock(${String(LOCK_KEY)}) AS taken`);
    if (rows[0]?.taken) return 'taken';
    await sleep(50);
  } while (Date.now() < deadline);
  return 'held';
}

/** Finds the session that holds the lock of the directory. @returns the name of its application */
async function findHolder(session: pg.Client): Promise<string | undefined> {
  const { rows } = await session.query<{ holder: string }>(
    `SELECT application_name AS holder FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND objid = ${String(LOCK_KEY)} AND granted`,
  );
  return rows[0]?.holder;
}

async function createInUseError({ home }: Cluster, lock: pg.Client): Promise<Error> {
  const holder = /\d+$/.exec((await findHolder(lock)) ?? '')?.[0];
  await lock.end();
  return new EmbeddedPostgresError(
    `${home} is in use by another Passkey Manager${holder ? ` (process ${holder})` : ''}: stop it, or give this one another PASSKEY_DATA_DIR, or both the same DATABASE_URL.`,
  );
}
