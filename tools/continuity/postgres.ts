import { execFile } from 'node:child_process';
import { chownSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { chooseServerAccount, runProgram, type ServerAccount } from '../../dev/embedded-postgres/server-account.js';
import { runRoleScript } from '../../src/database/role-scripts.js';

const SUPERUSER = 'postgres';
const DATABASE = 'passkey_manager';
const ROOT = join(import.meta.dirname, '../..');
const PATIENCE_MS = 60_000;

export type Role = 'passkey_manager' | 'passkey_migrator' | 'postgres';

/** The programs of an installed PostgreSQL, and the account that may run them. */
export class Programs {
  readonly directory: string;
  readonly account: ServerAccount;

  private constructor(directory: string, account: ServerAccount) {
    this.directory = directory;
    this.account = account;
  }

  /** @param directory holds `initdb`, `pg_ctl`, `pg_dump`, `pg_restore`, `pg_basebackup` */
  static async find(directory: string): Promise<Programs> {
    return new Programs(directory, await chooseServerAccount(join(directory, 'no data yet')));
  }

  /** Makes a directory that the account owns. */
  own(path: string): string {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { uid, gid } = this.account;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
    return path;
  }

  /** Writes a file that the account owns. */
  give(path: string, content: string): void {
    writeFileSync(path, content, { mode: 0o600 });
    const { uid, gid } = this.account;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }

  /** Runs a program to its end. @throws Error with its output */
  async run(cwd: string, program: string, ...args: readonly string[]): Promise<string> {
    const { code, output } = await runProgram(this.account, join(this.directory, program), args, { cwd });
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${String(code)}:\n${output}`);
    return output;
  }
}

/** A cluster of its own on a free port of the loopback address. It trusts every local session. */
export class Server {
  readonly home: string;
  readonly port: number;
  private readonly programs: Programs;

  private constructor(programs: Programs, home: string, port: number) {
    this.programs = programs;
    this.home = home;
    this.port = port;
  }

  /** Makes an empty cluster and starts it. @param settings lines of `postgresql.conf` */
  static async create(programs: Programs, home: string, settings: readonly string[] = []): Promise<Server> {
    const server = await Server.of(programs, home);
    const initdb = ['--username', SUPERUSER, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'];
    await programs.run(server.home, 'initdb', ...initdb, '--pgdata', server.data);
    await server.start(settings);
    return server;
  }

  /** Copies the data directory of a backup, and does not start the server. */
  static async fromBackup(programs: Programs, home: string, backup: string): Promise<Server> {
    const server = await Server.of(programs, home);
    cpSync(backup, server.data, { recursive: true, preserveTimestamps: true });
    await promisify(execFile)('chown', ['-R', `--reference=${backup}`, server.data]);
    await promisify(execFile)('chmod', ['700', server.data]);
    return server;
  }

  /** Makes a standby of a running server, and starts it. */
  static async standBy(programs: Programs, home: string, primary: Server): Promise<Server> {
    const standby = await Server.of(programs, home);
    await standby.copyOf(primary, standby.data, '--write-recovery-conf');
    await standby.start();
    return standby;
  }

  private static async of(programs: Programs, home: string): Promise<Server> {
    return new Server(programs, programs.own(home), await findFreePort());
  }

  get data(): string {
    return join(this.home, 'data');
  }

  url(role: Role): string {
    return `postgresql://${role}@127.0.0.1:${String(this.port)}/${DATABASE}`;
  }

  /** Makes the database and its roles, without a schema. */
  async prepare(): Promise<void> {
    await this.sql(`CREATE DATABASE ${DATABASE}`, 'postgres');
    await runRoleScript('roles.sql', this.url('postgres'));
  }

  async grant(): Promise<void> {
    await runRoleScript('grants.sql', this.url('passkey_migrator'));
  }

  /** Runs the migrations of this version as the migrator does, and grants. */
  async migrate(): Promise<void> {
    const env = { PATH: process.env['PATH'], DATABASE_URL: this.url('passkey_migrator') };
    await promisify(execFile)(process.execPath, ['dist/commands/migrate.js'], { cwd: ROOT, env });
    await this.grant();
  }

  /** Takes a copy of the data directory while the server runs. */
  async copyOf(server: Server, into: string, ...options: readonly string[]): Promise<void> {
    const from = ['--host=127.0.0.1', `--port=${String(server.port)}`, `--username=${SUPERUSER}`];
    await this.programs.run(this.home, 'pg_basebackup', ...from, '--checkpoint=fast', '--pgdata', into, ...options);
  }

  /** Runs `pg_dump` or `pg_restore` on the database as the superuser. */
  async dumpTool(program: 'pg_dump' | 'pg_restore', ...args: readonly string[]): Promise<void> {
    const to = ['--host=127.0.0.1', `--port=${String(this.port)}`, `--username=${SUPERUSER}`, `--dbname=${DATABASE}`];
    await this.programs.run(this.home, program, ...to, ...args);
  }

  configure(settings: readonly string[]): void {
    const path = join(this.data, 'postgresql.conf');
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n${settings.join('\n')}\n`);
  }

  async start(settings: readonly string[] = []): Promise<void> {
    const own = [`port = ${String(this.port)}`, `listen_addresses = '127.0.0.1'`, `unix_socket_directories = ''`];
    // A crash of the machine may lose the cluster; a crash of the server does not.
    this.configure([...own, 'fsync = off', ...settings]);
    const log = join(this.home, 'server.log');
    await this.programs.run(this.home, 'pg_ctl', 'start', '--wait', '-t', '60', '--log', log, '--pgdata', this.data);
  }

  /** Starts a copy of a data directory that recovers as the settings say, and waits until it has. */
  async startRecovery(settings: readonly string[]): Promise<void> {
    this.programs.give(join(this.data, 'recovery.signal'), '');
    await this.start(settings);
    await this.untilHolds('SELECT NOT pg_is_in_recovery() AS holds');
  }

  /** Waits until everything that was written is archived. */
  async archive(): Promise<void> {
    const [{ file } = { file: '' }] = await this.sql<{ file: string }>(
      'SELECT pg_walfile_name(pg_current_wal_lsn()) AS file',
    );
    await this.sql('SELECT pg_switch_wal()');
    await this.untilHolds(`SELECT last_archived_wal >= '${file}' AS holds FROM pg_stat_archiver`);
  }

  async promote(): Promise<void> {
    await this.programs.run(this.home, 'pg_ctl', 'promote', '--wait', '--pgdata', this.data);
  }

  /** Ends the server as a loss of its machine does: it flushes nothing, and ends no transaction. */
  async crash(): Promise<void> {
    const pid = Number.parseInt(readFileSync(join(this.data, 'postmaster.pid'), 'utf8'), 10);
    process.kill(pid, 'SIGKILL');
    // The sessions see within a moment that their server is gone.
    await this.until(async () => !(await this.answers()));
  }

  async stop(): Promise<void> {
    await this.programs
      .run(this.home, 'pg_ctl', 'stop', '--mode=immediate', '--pgdata', this.data)
      .catch(() => undefined);
  }

  /** Runs a statement in a session of its own. */
  async sql<Row extends object>(text: string, database = DATABASE, role: Role = SUPERUSER): Promise<Row[]> {
    return this.sqlAt(Object.assign(new URL(this.url(role)), { pathname: `/${database}` }).href, text);
  }

  /** Runs a statement in a session of another URL, such as that of a pooler. */
  async sqlAt<Row extends object>(url: string, text: string): Promise<Row[]> {
    const session = new pg.Client({ connectionString: url });
    session.on('error', () => undefined);
    await session.connect();
    try {
      return (await session.query<Row>(text)).rows;
    } finally {
      await session.end();
    }
  }

  /** Waits until a condition of the database holds. @param text SQL that returns a boolean `holds` */
  async untilHolds(text: string): Promise<void> {
    await this.until(async () => {
      const rows = await this.sql<{ holds: boolean | null }>(text).catch(() => []);
      return rows[0]?.holds === true;
    }, text);
  }

  private async answers(): Promise<boolean> {
    return this.sql('SELECT 1').then(
      () => true,
      () => false,
    );
  }

  private async until(holds: () => Promise<boolean>, what = 'the server does not end'): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`not within a minute: ${what}`);
      await sleep(50);
    }
  }
}

export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
