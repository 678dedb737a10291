import { mkdirSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openCluster, runOnCluster, SUPERUSER } from '../../dev/embedded-postgres/cluster.js';
import { findFreePort, readPostmaster, stopPostmaster } from '../../dev/embedded-postgres/postmaster.js';
import { pin } from './placement.js';
import { descendants, parentOf } from './processes.js';

/** Files of 16 MiB. */
const WAL_SEGMENTS = 320;

/**
 * The settings of a machine of its own: PostgreSQL flushes every commit and has a quarter of the memory, and no checkpoint
 * falls into a short measurement.
 */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 200,
  shared_buffers: `${String(Math.round(totalmem() / 2 ** 22))}MB`,
  min_wal_size: `${String(WAL_SEGMENTS * 16)}MB`,
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  timezone: 'UTC',
};

/** The PostgreSQL of all contenders. Each has a database of its own on it. */
export interface Database {
  /** The version, and from PostgreSQL 17 on a note if its buffers are huge pages. */
  readonly version: string;
  /** Undefined if it runs on another machine. */
  readonly postmaster: number | undefined;
  /** The file of its log; undefined for a server that the benchmark did not start. */
  readonly log: string | undefined;
  /** Creates an empty database. */
  create(name: string): Promise<string>;
  stop(): Promise<void>;
}

/** Uses DATABASE_URL's server, or starts the embedded one in `directory`. */
export async function startDatabase(directory: string): Promise<Database> {
  const given = process.env['DATABASE_URL'];
  return given ? await over(given, () => Promise.resolve()) : await startOwn(directory);
}

async function startOwn(directory: string): Promise<Database> {
  mkdirSync(directory, { recursive: true });
  const cluster = await openCluster(directory, true);
  const port = await findFreePort();
  const options = Object.entries({ ...SETTINGS, port }).map(([name, value]) => `-c ${name}=${String(value)}`);
  const start = ['start', '--wait', '--silent', '--log=../server.log', `--options=${options.join(' ')}`];
  const { code, output } = await runOnCluster(cluster, cluster.binaries.pgCtl, start, { detached: true });
  if (code !== 0) throw new Error(`PostgreSQL did not start (${join(cluster.home, 'server.log')}): ${output}`);
  const { pid } = (await readPostmaster(cluster))!;
  pin('database', descendants(pid));
  const url = `postgresql://${SUPERUSER}:${cluster.password}@127.0.0.1:${String(port)}/postgres`;
  await recycleWal(url);
  return over(url, () => stopPostmaster(cluster, pid), join(cluster.home, 'server.log'));
}

/**
 * Makes the WAL files in advance. A server that has run for a while reuses its WAL files. A new one makes each, 16 MiB of zeros, and all
 * commits wait meanwhile: 50 ms every few seconds, which belong to no contender's latency.
 */
async function recycleWal(url: string): Promise<void> {
  const session = new pg.Client({ connectionString: url });
  await session.connect();
  for (let made = 0; made < WAL_SEGMENTS; made += 1) {
    await session.query('SELECT pg_current_xact_id()');
    await session.query('SELECT pg_switch_wal()');
  }
  await session.query('CHECKPOINT');
  await session.end();
}

async function over(url: string, stopServer: () => Promise<void>, log?: string): Promise<Database> {
  const session = new pg.Client({ connectionString: url });
  await session.connect();
  const { rows } = await session.query<{ pid: number; version: string; local: boolean }>(
    `SELECT pg_backend_pid() AS pid,
            current_setting('server_version')
              || CASE current_setting('huge_pages_status', TRUE) WHEN 'on' THEN ' with huge pages' ELSE '' END AS version,
            coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', TRUE) AS local`,
  );
  const { pid, version, local } = rows[0]!;
  const created: string[] = [];
  return {
    version,
    log,
    postmaster: local ? parentOf(pid) : undefined,
    async create(name) {
      const database = `passkey_bench_${String(process.pid)}_${name.replaceAll('-', '_')}`;
      await session.query(`CREATE DATABASE ${database}`);
      created.push(database);
      return Object.assign(new URL(url), { pathname: `/${database}` }).href;
    },
    async stop() {
      for (const name of created) await session.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await session.end();
      await stopServer();
    },
  };
}
