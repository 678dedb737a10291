import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { findFreePort } from '../../dev/embedded-postgres/postmaster.js';
import { configureNode, configureProxy, type NodePorts } from './configuration.js';
import { end, patiently, Servers } from './servers.js';

const NODES = 3;
/** The number of lines of each log that tell why a cluster failed. */
const LINES = 30;

/** A member of the cluster: a PostgreSQL server and the Patroni that starts, stops, promotes and follows it. */
export interface Node extends NodePorts {
  readonly name: string;
  patroni: ChildProcess | undefined;
}

interface Member {
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

/**
 * Three PostgreSQL servers that Patroni keeps together by etcd, with one synchronous standby, behind an HAProxy that leads
 * to the primary. All of them run on the loopback address.
 */
export class Cluster {
  readonly nodes: readonly Node[];
  /** The port of the proxy. */
  readonly port: number;
  private readonly servers: Servers;
  private readonly binaries: string;
  private readonly etcd: { readonly client: number; readonly peer: number };
  private readonly children: ChildProcess[] = [];

  private constructor(
    servers: Servers,
    binaries: string,
    ports: { readonly proxy: number; readonly etcd: Cluster['etcd']; readonly nodes: readonly NodePorts[] },
  ) {
    this.servers = servers;
    this.binaries = binaries;
    this.port = ports.proxy;
    this.etcd = ports.etcd;
    this.nodes = ports.nodes.map((node, index) => ({ ...node, name: `node${String(index + 1)}`, patroni: undefined }));
  }

  /** @param binaries the directory of PostgreSQL's programs */
  static async start(home: string, binaries: string): Promise<Cluster> {
    const servers = await Servers.open(home);
    const nodes: NodePorts[] = [];
    for (let node = 0; node < NODES; node += 1)
      nodes.push({ postgres: await findFreePort(), rest: await findFreePort() });
    const etcd = { client: await findFreePort(), peer: await findFreePort() };
    const cluster = new Cluster(servers, binaries, { proxy: await findFreePort(), etcd, nodes });
    try {
      await cluster.begin();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The URL of the primary's database, by way of the proxy. */
  url(role: string): string {
    return `postgresql://${role}@127.0.0.1:${String(this.port)}/passkey_manager`;
  }

  /** Returns the node that Patroni reports as the primary. @throws Error without one */
  async findPrimary(): Promise<Node> {
    const leader = (await this.readMembers()).find(({ role }) => role === 'leader');
    const node = this.nodes.find(({ name }) => name === leader?.name);
    if (!node) throw new Error('the cluster has no primary');
    return node;
  }

  /** Hands the primary's part over to the synchronous standby, as an operator does before maintenance. */
  async switchOver(primary: Node): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${String(primary.rest)}/switchover`, {
      method: 'POST',
      body: JSON.stringify({ leader: primary.name }),
    });
    if (!answer.ok) throw new Error(`the switchover is refused: ${await answer.text()}`);
  }

  /** Kills the server and its Patroni, as when a machine loses its power. */
  killMachine(node: Node): void {
    node.patroni?.kill('SIGKILL');
    this.killServer(node);
    node.patroni = undefined;
  }

  /** Kills the server alone. */
  killServer({ name }: Node): void {
    const file = join(this.servers.home, name, 'data/postmaster.pid');
    process.kill(Number.parseInt(readFileSync(file, 'utf8'), 10), 'SIGKILL');
  }

  /** Starts what was killed, and waits until every node is there again and a standby is synchronous. */
  async repair(): Promise<void> {
    for (const node of this.nodes) node.patroni ??= this.startNode(node);
    await this.untilWhole();
  }

  /**
   * Waits for another primary that commits a write.
   *
   * @returns when it had committed (`performance.now()`)
   */
  async untilPromoted(before: Node): Promise<number> {
    const others = this.nodes.filter((node) => node !== before);
    return patiently('no other node takes writes', async () => {
      for (const node of others) if (await takesWrites(node)) return performance.now();
      return undefined;
    });
  }

  async stop(): Promise<void> {
    const patronis = this.nodes.flatMap(({ patroni }) => patroni ?? []);
    await Promise.all(patronis.map((child) => end(child, 'SIGTERM')));
    await Promise.all(this.children.map((child) => end(child, 'SIGTERM')));
    for (const node of this.nodes)
      if (existsSync(join(this.servers.home, node.name, 'data/postmaster.pid'))) this.killServer(node);
  }

  /** The last lines of the logs of Patroni and PostgreSQL. */
  get lastWords(): string {
    const read = ({ name }: Node): string =>
      readFileSync(join(this.servers.home, `${name}.log`), 'utf8')
        .split('\n')
        .slice(-LINES)
        .join('\n');
    return this.nodes.map((node) => `${node.name}:\n${read(node)}`).join('\n');
  }

  private async begin(): Promise<void> {
    const [client, peer] = [this.etcd.client, this.etcd.peer].map((port) => `http://127.0.0.1:${String(port)}`);
    const etcdHome = this.servers.own('etcd');
    this.children.push(
      this.servers.spawn('etcd', 'etcd', [
        ...['--name', 'etcd', '--data-dir', etcdHome, '--initial-cluster', `etcd=${peer!}`],
        ...['--listen-client-urls', client!, '--advertise-client-urls', client!],
        ...['--listen-peer-urls', peer!, '--initial-advertise-peer-urls', peer!],
      ]),
    );
    await patiently('etcd does not answer', () => isOk(`${client!}/health`));
    const [first, ...others] = this.nodes;
    first!.patroni = this.startNode(first!);
    await patiently('the first node does not serve', () => isOk(`http://127.0.0.1:${String(first!.rest)}/primary`));
    for (const node of others) node.patroni = this.startNode(node);
    const proxy = join(this.servers.home, 'haproxy.cfg');
    writeFileSync(proxy, configureProxy(this.port, this.nodes));
    this.children.push(this.servers.spawn('haproxy', 'haproxy', ['-f', proxy]));
    await this.untilWhole();
  }

  private startNode(node: Node): ChildProcess {
    const home = this.servers.own(node.name);
    const file = join(home, 'patroni.yml');
    writeFileSync(file, configureNode(node, { home, binaries: this.binaries, etcd: this.etcd.client }));
    return this.servers.spawn(node.name, 'patroni', [file]);
  }

  /** Waits until all nodes serve, one of them as a synchronous standby, and the proxy leads to the primary. */
  private async untilWhole(): Promise<void> {
    await patiently('the cluster is not whole', async () => {
      const members = await this.readMembers();
      const running = members.filter(({ state }) => state === 'running' || state === 'streaming');
      if (running.length !== NODES || !members.some(({ role }) => role === 'sync_standby')) return undefined;
      return query(`postgresql://postgres@127.0.0.1:${String(this.port)}/postgres`, 'SELECT 1');
    });
  }

  private async readMembers(): Promise<readonly Member[]> {
    for (const { rest } of this.nodes) {
      const answer = await fetch(`http://127.0.0.1:${String(rest)}/cluster`).catch(() => undefined);
      if (answer?.ok) return ((await answer.json()) as { members: Member[] }).members;
    }
    return [];
  }
}

async function takesWrites({ postgres }: Node): Promise<true | undefined> {
  const url = `postgresql://postgres@127.0.0.1:${String(postgres)}/postgres`;
  return query(url, 'CREATE TABLE IF NOT EXISTS write_probe (); INSERT INTO write_probe DEFAULT VALUES');
}

/** @returns undefined if the statement fails, or takes longer than a second */
async function query(url: string, text: string): Promise<true | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000, query_timeout: 1_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(text);
    return true;
  } catch {
    return undefined;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function isOk(url: string): Promise<true | undefined> {
  const answer = await fetch(url).catch(() => undefined);
  return answer?.ok ? true : undefined;
}
