import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readFile, rm, stat, truncate } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Cluster, isAlive, runOnCluster } from './cluster.js';
import { EmbeddedPostgresError } from './embedded-postgres-error.js';

/**
 * The postmaster.pid of a running server, which writes it first and removes it last. PostgreSQL's miscadmin.h documents
 * its lines.
 */
export interface Postmaster {
  readonly pid: number;
  /** undefined for a moment while the server starts. */
  readonly port: number | undefined;
  /** Text of the file. */
  readonly file: string;
}

/** A start empties a log that is larger. 1 MiB. */
const LOG_LIMIT = 1024 * 1024;

/** Messages after which a second attempt may succeed: another server has the directory or the port. */
const TRY_AGAIN = [
  'lock file "postmaster.pid" already exists',
  'pre-existing shared memory block',
  'could not create any TCP/IP sockets',
];

/**
 * Makes the prefix of the names of all servers in a directory. It uses the inode, because a copied directory has the
 * same password.
 */
export async function makeDirectoryName({ home }: Cluster): Promise<string> {
  const { dev, ino } = await stat(join(home, 'data'), { bigint: true });
  return `passkey-manager-${String(dev)}-${String(ino)}-`;
}

/**
 * Makes the cluster_name of PostgreSQL, which ps shows: the directory and a digest of the programs and settings. At
 * most 63 characters.
 */
export async function makeServerName(cluster: Cluster): Promise<string> {
  const made = JSON.stringify([cluster.binaries, listSettings(cluster)]);
  return (await makeDirectoryName(cluster)) + createHash('sha256').update(made).digest('hex').slice(0, 8);
}

export async function readPostmaster({ home }: Cluster): Promise<Postmaster | undefined> {
  const file = await readFile(join(home, 'data', 'postmaster.pid'), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  const [pid, , , port] = file.split('\n').map(Number);
  return pid ? { pid, port: port === 0 ? undefined : port, file } : undefined;
}

/**
 * Removes the postmaster.pid of a server that is gone while its pid belongs to another process of the same user: the
 * one case where PostgreSQL refuses to start. If the server lives after all, its shared memory keeps a second one out
 * of the directory.
 */
export async function forgetPostmaster(cluster: Cluster, stale: Postmaster): Promise<void> {
  if ((await readPostmaster(cluster))?.file !== stale.file) return;
  await rm(join(cluster.home, 'data', 'postmaster.pid'), { force: true });
}

/**
 * Starts a server in a session of its own, so that Ctrl-C in the terminal ends the service first, and the service then
 * stops its database.
 *
 * @returns false if the server did not start and a second attempt may succeed
 */
export async function startPostmaster(cluster: Cluster, port: number): Promise<boolean> {
  const log = join(cluster.home, 'server.log');
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_LIMIT) await truncate(log);
  const settings = { ...listSettings(cluster), port, cluster_name: await makeServerName(cluster) };
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${String(value)}`);
  const { code, output } = await runOnCluster(
    cluster,
    cluster.binaries.pgCtl,
    ['start', '--wait', '--silent', '--timeout=120', '--log=../server.log', `--options=${flags.join(' ')}`],
    { detached: true },
  );
  if (code === 0) return true;
  const said = await readFrom(log, size > LOG_LIMIT ? 0 : size);
  if (TRY_AGAIN.some((message) => said.includes(message))) return false;
  throw new EmbeddedPostgresError(
    `The embedded database did not start. ${output}\n${log} ends:\n${keepLastLines(said)}`,
  );
}

/**
 * The server listens on TCP loopback only: Unix sockets limit the length of paths, and the URLs of TypeORM cannot name
 * them.
 */
function listSettings({ durable }: Cluster): Record<string, string | number> {
  return {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '64MB',
    max_connections: 100,
    max_wal_size: '256MB',
    max_logical_replication_workers: 0,
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
}

/**
 * Stops the server and waits for its end. Sessions are ended, transactions in flight are rolled back, and everything
 * committed is on disk.
 */
export async function stopPostmaster(cluster: Cluster, pid: number): Promise<void> {
  for (const mode of ['fast', 'immediate']) {
    if ((await readPostmaster(cluster))?.pid !== pid || !isAlive(pid)) return;
    const args = ['stop', `--mode=${mode}`, '--wait', '--silent', '--timeout=30'];
    const { code } = await runOnCluster(cluster, cluster.binaries.pgCtl, args, { detached: true });
    if (code === 0) return;
  }
  if ((await readPostmaster(cluster))?.pid === pid && isAlive(pid)) {
    throw new EmbeddedPostgresError(`The embedded database did not stop (process ${String(pid)})`);
  }
}

/** Reads the last lines of the server's log, for messages. */
export async function readLogTail({ home }: Cluster): Promise<string> {
  return keepLastLines(await readFrom(join(home, 'server.log'), 0).catch(() => ''));
}

function keepLastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-12).join('\n');
}

function readFrom(path: string, start: number): Promise<string> {
  return text(createReadStream(path, { start }));
}

/**
 * Finds a free port. If another process takes it before the server does, the start is tried again with another port.
 */
export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
