import type pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseSession } from '../database-session.js';
import { type Cluster, isAlive, SUPERUSER } from './cluster.js';
import { EmbeddedPostgresError } from './embedded-postgres-error.js';
import {
  directoryName,
  forgetPostmaster,
  freePort,
  logTail,
  type Postmaster,
  readPostmaster,
  serverName,
  startPostmaster,
  stopPostmaster,
} from './postmaster.js';

/** A server in the cluster's directory, ours for as long as `lock`, a session that holds an advisory lock, lives. */
export interface OwnedServer {
  readonly pid: number;
  readonly port: number;
  /** serverName() of the start that made it. */
  readonly name: string;
  readonly lock: pg.Client;
}

/** pg_advisory_lock's key, in the database `postgres`. Any number: it has no other users. */
const LOCK_KEY = 7_265_465;

/** How long a server may take to recover from a crash or to shut down: milliseconds. */
const PATIENCE = 120_000;
/** How long a living process with a closed port may pass for a server about to listen: milliseconds. */
const SILENCE = 3_000;
/** How long the lock of a service that was just killed may outlive it: milliseconds. */
const LINGER = 2_000;

/**
 * Takes the directory: joins the server that runs there, or starts one, and takes its lock. Who holds the lock owns
 * the directory; who doesn't get it leaves the server alone. A server left behind by a killed service is kept, unless
 * it was started with other settings or programs than ours.
 *
 * @param port demanded of a server that has to be started
 */
export async function takeServer(cluster: Cluster, port?: number): Promise<OwnedServer> {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const server = await joinServer(cluster, deadline);
    if (!server) {
      const started = await startPostmaster(cluster, port ?? (await freePort()));
      if (!started) await sleep(100);
      continue;
    }
    // The session is lost where the server was shutting down.
    const lock = await takeLock(server.lock).catch(() => 'lost');
    if (lock === 'held') throw await inUse(cluster, server.lock);
    if (lock === 'taken' && server.name === (await serverName(cluster))) return server;
    if (lock === 'taken') await stopPostmaster(cluster, server.pid);
    await server.lock.end();
  }
  throw new EmbeddedPostgresError(
    `The embedded database did not start in time. Its log ends:\n${await logTail(cluster)}`,
  );
}

/** A session on the server that runs in the directory; undefined when none does. */
async function joinServer(cluster: Cluster, deadline: number): Promise<OwnedServer | undefined> {
  let silentSince = Date.now();
  while (Date.now() < deadline) {
    const postmaster = await readPostmaster(cluster);
    if (!postmaster || !isAlive(postmaster.pid)) return undefined;
    const attempt = await connect(cluster, postmaster);
    if (typeof attempt === 'object') return attempt;
    if (attempt === 'busy') silentSince = Date.now();
    if (attempt === 'foreign' || Date.now() - silentSince > SILENCE) {
      await forgetPostmaster(cluster, postmaster);
      return undefined;
    }
    await sleep(50);
  }
  throw new EmbeddedPostgresError(`The embedded database does not answer. Its log ends:\n${await logTail(cluster)}`);
}

/** busy: there, and not ready. silent: nobody listens. foreign: whoever listens is not this directory's server. */
type Answer = OwnedServer | 'busy' | 'silent' | 'foreign';

async function connect(cluster: Cluster, { pid, port }: Postmaster): Promise<Answer> {
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
    if (name.startsWith(await directoryName(cluster))) return { pid, port, name, lock };
    await lock.end();
    return 'foreign';
  } catch (error) {
    await lock.end();
    return meaningOf(error as Error & { code?: string });
  }
}

/** SQLSTATE classes 28 (authorization), 3D (no such database), 53 (resources), 57 (starting, shutting down). */
function meaningOf({ code, message }: Error & { code?: string }): Answer {
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

async function inUse({ home }: Cluster, lock: pg.Client): Promise<Error> {
  const { rows } = await lock.query<{ holder: string }>(
    `SELECT application_name AS holder FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND objid = ${String(LOCK_KEY)} AND granted`,
  );
  await lock.end();
  const holder = /\d+$/.exec(rows[0]?.holder ?? '')?.[0];
  return new EmbeddedPostgresError(
    `${home} is in use by another Passkey Manager${holder ? ` (process ${holder})` : ''}: stop it, or give this one another PASSKEY_DATA_DIR, or both the same DATABASE_URL.`,
  );
}
