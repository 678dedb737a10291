import type { ChildProcess } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { findFreePort } from '../../dev/embedded-postgres/postmaster.js';
import { end, patiently, Servers } from './servers.js';

export interface CitusNode {
  readonly name: string;
  readonly port: number;
  server: ChildProcess | undefined;
}

const DATABASE = 'passkey_manager';
const SETTINGS = [
  ...["shared_preload_libraries = 'citus'", 'wal_level = logical', 'max_prepared_transactions = 200'],
  ...['max_connections = 200', "shared_buffers = '64MB'", "unix_socket_directories = ''", 'log_min_messages = log'],
  // A transaction that a lost node left prepared is finished so soon.
  ...["citus.node_conninfo = 'sslmode=disable'", "citus.recover_2pc_interval = '1s'"],
];

/** A coordinator and two workers of Citus on the loopback address, which let everybody log in. */
export class CitusCluster {
  readonly coordinator: CitusNode;
  readonly workers: readonly CitusNode[];
  private readonly servers: Servers;
  private readonly binaries: string;

  private constructor(servers: Servers, binaries: string, coordinator: CitusNode, workers: readonly CitusNode[]) {
    this.servers = servers;
    this.binaries = binaries;
    this.coordinator = coordinator;
    this.workers = workers;
  }

  /** @param binaries the directory of the programs of a PostgreSQL that has the extension */
  static async start(home: string, binaries: string): Promise<CitusCluster> {
    const servers = await Servers.open(home);
    const [coordinator, ...workers] = await Promise.all(
      ['coordinator', 'worker1', 'worker2'].map(async (name) => ({
        name,
        port: await findFreePort(),
        server: undefined,
      })),
    );
    const cluster = new CitusCluster(servers, binaries, coordinator!, workers);
    try {
      for (const node of cluster.nodes) await cluster.make(node);
      await cluster.join();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get nodes(): readonly CitusNode[] {
    return [this.coordinator, ...this.workers];
  }

  url(role: string, { port } = this.coordinator, database = DATABASE): string {
    return `postgresql://${role}@127.0.0.1:${String(port)}/${database}`;
  }

  /** Returns the worker that holds the tables, and the other one. */
  async findTables(): Promise<readonly [holder: CitusNode, other: CitusNode]> {
    const [place] = await this.query<{ port: number }>(
      this.coordinator,
      `SELECT DISTINCT nodeport AS port FROM citus_shards WHERE table_name = 'credential'::regclass`,
    );
    const [holder, other] = this.workers.toSorted((one) => (one.port === place?.port ? -1 : 1));
    return [holder!, other!];
  }

  /** Moves all tables to the worker that does not have them. */
  async moveTables(): Promise<void> {
    const [from, to] = await this.findTables();
    await this.query(
      this.coordinator,
      `SELECT citus_move_shard_placement(shardid, '127.0.0.1', ${String(from.port)}, '127.0.0.1', ${String(to.port)},
         shard_transfer_mode => 'force_logical') FROM citus_shards WHERE table_name = 'relying_party'::regclass`,
    );
  }

  /** Sends a signal to the server and to all its sessions. */
  signal(node: CitusNode, signal: NodeJS.Signals): void {
    for (const pid of [node.server!.pid!, ...listChildren(node.server!.pid!)]) {
      try {
        process.kill(pid, signal);
      } catch {
        // The session has ended.
      }
    }
  }

  /** Stops a server as an administrator does: it ends its sessions. */
  async shutDown({ server }: CitusNode): Promise<void> {
    await end(server!, 'SIGINT');
  }

  /** Starts a server, and waits until it serves. */
  async begin(node: CitusNode): Promise<void> {
    const data = join(this.servers.home, node.name);
    const start = (): ChildProcess =>
      this.servers.spawn(node.name, join(this.binaries, 'postgres'), ['-D', data, '-p', String(node.port)]);
    await patiently(`${node.name} does not serve`, async () => {
      // A session of the killed server may still hold its memory.
      if (node.server === undefined || node.server.exitCode !== null || node.server.signalCode !== null)
        node.server = start();
      return this.query(node, 'SELECT', 'postgres').catch(() => undefined);
    });
  }

  /** Counts the transactions that are still prepared at any node. */
  async countPrepared(): Promise<number> {
    const counts = this.nodes.map((node) =>
      this.query<{ n: number }>(node, 'SELECT count(*)::integer AS n FROM pg_prepared_xacts'),
    );
    return (await Promise.all(counts)).reduce((sum, [row]) => sum + row!.n, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(async ({ server }) => server && end(server, 'SIGINT')));
  }

  private async make(node: CitusNode): Promise<void> {
    const data = this.servers.own(node.name);
    const options = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    const { code, output } = await this.servers.run(join(this.binaries, 'initdb'), ['-D', data, ...options]);
    if (code !== 0) throw new Error(output);
    appendFileSync(join(data, 'postgresql.conf'), `${SETTINGS.join('\n')}\n`);
    await this.begin(node);
    await this.query(node, `CREATE DATABASE ${DATABASE}`, 'postgres');
    await this.query(node, 'CREATE EXTENSION citus');
  }

  private async join(): Promise<void> {
    const add = (call: string, { port }: CitusNode): Promise<unknown> =>
      this.query(this.coordinator, `SELECT ${call}('127.0.0.1', ${String(port)})`);
    await add('citus_set_coordinator_host', this.coordinator);
    for (const worker of this.workers) await add('citus_add_node', worker);
  }

  private async query<Row extends object>(node: CitusNode, sql: string, database = DATABASE): Promise<Row[]> {
    const session = new pg.Client({
      connectionString: this.url('postgres', node, database),
      connectionTimeoutMillis: 1_000,
    });
    session.on('error', () => undefined);
    await session.connect();
    try {
      return (await session.query<Row>(sql)).rows;
    } finally {
      await session.end();
    }
  }
}

/** Lists the processes that a process has started, on Linux. */
function listChildren(parent: number): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && readParent(pid) === parent)
    .map(Number);
}

function readParent(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}
