import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { until } from '../../test/support/until.js';
import { type EmbeddedPostgres, findEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.js';

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const session = new pg.Client({ connectionString: url });
  session.on('error', () => undefined);
  await session.connect();
  try {
    return (await session.query<Row>(sql)).rows;
  } finally {
    await session.end();
  }
}

const readPostmasterPid = async (directory: string): Promise<number> =>
  Number.parseInt(await readFile(join(directory, 'postgres/data/postmaster.pid'), 'utf8'));

const retry = <Result>(attempt: () => Promise<Result>): Promise<Result> =>
  until(() => attempt().catch(() => undefined));

let directory: string;
let servers: EmbeddedPostgres[] = [];

const start = async (options: { database?: string } = {}): Promise<EmbeddedPostgres> => {
  const server = await startEmbeddedPostgres({ directory, durable: false, ...options });
  servers.push(server);
  return server;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('the embedded database', () => {
  it('is a PostgreSQL on a port of the loopback address, with UTF-8 text and ordinary roles', async () => {
    const { url, migratorUrl } = await start();
    for (const each of [url, migratorUrl]) {
      expect(new URL(each)).toMatchObject({
        protocol: 'postgresql:',
        hostname: '127.0.0.1',
        pathname: '/passkey_manager',
      });
      const [row] = await query(
        each,
        `SELECT current_setting('server_version_num')::int >= 150000 AS modern, current_setting('server_encoding') AS encoding,
                current_setting('listen_addresses') AS addresses, rolsuper AS superuser FROM pg_roles WHERE rolname = current_user`,
      );
      expect(row).toEqual({ modern: true, encoding: 'UTF8', addresses: '127.0.0.1', superuser: false });
    }
  });

  it('lets the service work in the schema that the migrator makes, and create nothing itself', async () => {
    const { url, migratorUrl } = await start();
    await query(migratorUrl, 'CREATE TABLE migrated (); GRANT SELECT ON migrated TO passkey_manager');
    expect(await query(url, 'SELECT * FROM migrated')).toEqual([]);
    for (const sql of [
      'CREATE TABLE own ()',
      'CREATE TEMPORARY TABLE own ()',
      'DROP TABLE migrated',
      'CREATE ROLE own',
    ]) {
      await expect(query(url, sql)).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('is found beside the service that has it running, and only then', async () => {
    const server = await start();
    const found = await findEmbeddedPostgres(directory);
    expect(new URL(found!).host).toBe(new URL(server.url).host);
    expect(await query(found!, 'SELECT current_database() AS database')).toEqual([{ database: 'passkey_manager' }]);
    expect(await query(server.url, 'SELECT 1 AS alive')).toEqual([{ alive: 1 }]);
    await server.stop();
    expect(await findEmbeddedPostgres(directory)).toBeUndefined();
    expect(await findEmbeddedPostgres(join(directory, 'nowhere'))).toBeUndefined();
  });

  it('refuses a client without the password', async () => {
    const { url } = await start();
    for (const user of ['passkey_manager', 'passkey_migrator', 'passkey_auditor', 'postgres']) {
      for (const password of ['', 'wrong']) {
        const guess = Object.assign(new URL(url), { username: user, password });
        await expect(query(guess.href, 'SELECT 1')).rejects.toThrow(/password/);
      }
    }
  });

  it('keeps its files to itself', async () => {
    for (const [path, mode] of [
      ['postgres', 0o700],
      ['postgres/data', 0o700],
      ['postgres/password', 0o600],
    ] as const) {
      expect((await stat(join(directory, path))).mode & 0o777).toBe(mode);
    }
  });

  it('keeps what was committed, and never stores passwords', async () => {
    const first = await start();
    await query(first.migratorUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await start();
    expect(await query(second.migratorUrl, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    for (const each of ['url', 'migratorUrl'] as const) {
      expect(new URL(second[each]).password).not.toBe(new URL(first[each]).password);
    }
  });

  it('creates the database that it is asked for', async () => {
    const { url } = await start({ database: 'Ada "1"' });
    expect(await query(url, 'SELECT current_database() AS name')).toEqual([{ name: 'Ada "1"' }]);
  });

  it('ends with stop(), with or without sessions, and a second stop() does nothing', async () => {
    const server = await start();
    const session = new pg.Client({ connectionString: server.url });
    session.on('error', () => undefined);
    await session.connect();
    await Promise.all([server.stop(), server.stop()]);
    await expect(query(server.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(readPostmasterPid(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is new after its directory was deleted, and serves one service at a time', async () => {
    await rm(join(directory, 'postgres'), { recursive: true });
    const starts = await Promise.allSettled([start(), start()]);
    const inUse = `${directory}/postgres is in use by another Passkey Manager (process ${String(process.pid)})`;
    expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(starts.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { message: expect.stringContaining(inUse) },
    });
    expect(await query(String(servers[0]?.url), "SELECT 1 FROM pg_tables WHERE tablename = 'kept'")).toEqual([]);
    expect(await readdir(directory)).toEqual(['postgres']);
  });

  it('comes back at the same address after kill -9 of its server', async () => {
    const { url, migratorUrl } = await start();
    await query(migratorUrl, 'CREATE TABLE survivor ()');
    process.kill(await readPostmasterPid(directory), 'SIGKILL');
    expect(await retry(() => query(url, "SELECT 1 AS one FROM pg_tables WHERE tablename = 'survivor'"))).toHaveLength(
      1,
    );
  });

  it('comes back at the same address after kill -9 of a session', async () => {
    const { url } = await start();
    const session = new pg.Client({ connectionString: url });
    session.on('error', () => undefined);
    await session.connect();
    const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    process.kill(Number(rows[0]?.pid), 'SIGKILL');
    await expect(session.query('SELECT pg_sleep(600)')).rejects.toThrow();
    expect(await retry(() => query(url, 'SELECT 1 AS one'))).toHaveLength(1);
  });

  it('reports what its server said when it cannot start', async () => {
    await (await start()).stop();
    const settings = join(directory, 'postgres/data/postgresql.conf');
    const before = await readFile(settings, 'utf8');
    await writeFile(settings, `${before}\nno_such_setting = on\n`);
    await expect(start()).rejects.toThrow(/did not start[^]*server\.log ends:[^]*no_such_setting/);
    await writeFile(settings, before);
  });

  it('of an older version of PostgreSQL is not touched, and the message names both versions and the way out', async () => {
    await (await start()).stop();
    const file = join(directory, 'postgres/data/PG_VERSION');
    const written = await readFile(file, 'utf8');
    await writeFile(file, '16\n');
    try {
      await expect(start()).rejects.toThrow(
        new RegExp(
          `has a database of PostgreSQL 16, and the embedded PostgreSQL is ${written.trim()}, .*pg_dump.*DATABASE_URL`,
        ),
      );
    } finally {
      await writeFile(file, written);
    }
    await expect(start()).resolves.toMatchObject({ url: expect.any(String) });
  });
});
