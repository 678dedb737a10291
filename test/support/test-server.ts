import { randomInt } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { distribute } from '../../src/database/distribution.js';
import { migrate } from '../../src/database/schema.js';
import { isAlive, SUPERUSER } from '../../dev/embedded-postgres/cluster.js';
import { startEmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';
import { runRoleScript } from '../../src/database/role-scripts.js';
import { databaseUrl } from './database.js';
import { CitusNodes } from './citus-nodes.js';
import { createTestRoles } from './test-roles.js';

/**
 * The PostgreSQL of one test run: DATABASE_URL's, or an embedded one that keeps nothing. It has a template database with
 * this version's schema, which each suite copies (database.ts), and the roles of the run (test-roles.ts).
 *
 * A run that is killed leaves things behind. A later run removes them: databases and roles, if the advisory lock of their run is
 * free; the directory and the server of an embedded one, if the process in the directory's name is gone.
 */
export class TestServer {
  private readonly nodes = new CitusNodes();
  private stopped: Promise<void> | undefined;

  private constructor(
    private readonly session: pg.Client,
    private readonly run: string,
    private readonly release: () => Promise<void>,
  ) {}

  static async start(): Promise<TestServer> {
    const { url, release } = process.env['DATABASE_URL']
      ? { url: process.env['DATABASE_URL'], release: () => Promise.resolve() }
      : await embeddedServer();
    try {
      return await TestServer.on(url, release);
    } catch (error) {
      await release();
      throw error;
    }
  }

  private static async on(url: string, release: () => Promise<void>): Promise<TestServer> {
    const session = new pg.Client({ connectionString: url, application_name: 'passkey-manager tests' });
    await session.connect();
    await demandPrivileges(session);
    await removeKilledRuns(session);
    const key = randomInt(2 ** 31);
    await session.query('SELECT pg_advisory_lock($1, $2)', [LOCK_CLASS, key]);
    const server = new TestServer(session, `${PREFIX}${String(key)}`, release);
    await server.createTemplate(url);
    return server;
  }

  private async createTemplate(url: string): Promise<void> {
    const template = `${this.run}_template`;
    await this.session.query(`CREATE DATABASE ${template}`);
    const owner = databaseUrl(url, template);
    await this.nodes.join(template, owner);
    const roles = await createTestRoles(this.session, this.run, owner);
    const migrator = roles.urlAs('passkey_migrator', owner);
    await migrate(migrator);
    await runRoleScript('grants.sql', migrator, roles.named);
    if (this.nodes.areThere) {
      await distribute(migrator);
      await this.nodes.leaveAlone(template, this.session);
    }
    process.env['PASSKEY_TEST_DATABASE_URL'] = url;
    process.env['PASSKEY_TEST_TEMPLATE'] = template;
  }

  /** Removes everything that the run has made. */
  stop(): Promise<void> {
    return (this.stopped ??= this.end());
  }

  private async end(): Promise<void> {
    try {
      await dropRun(this.session, this.run);
      await this.nodes.each((session) => dropRun(session, this.run));
      await this.session.end();
    } finally {
      await this.release();
    }
  }
}

/** Begins the name of every test database and role. The run's number follows, then `_template`, a copy's number or a role. */
const PREFIX = 'passkey_test_';
/** The first key of the advisory locks. The second key is the run's number. */
const LOCK_CLASS = 726;

async function demandPrivileges(session: pg.Client): Promise<void> {
  const { rows } = await session.query<{ name: string; able: boolean }>(
    `SELECT rolname AS name, rolsuper OR (rolcreatedb AND rolcreaterole) AS able FROM pg_roles WHERE rolname = current_user`,
  );
  if (rows[0]?.able) return;
  throw new Error(
    `DATABASE_URL: the role ${String(rows[0]?.name)} must be able to create databases and roles, which the tests make for themselves: ALTER ROLE … CREATEDB CREATEROLE`,
  );
}

async function removeKilledRuns(session: pg.Client): Promise<void> {
  const { rows } = await session.query<{ run: string }>(
    `SELECT DISTINCT substring(name FROM '^${PREFIX}[0-9]+') AS run
       FROM (SELECT datname AS name FROM pg_database UNION SELECT rolname FROM pg_roles) AS made
      WHERE name ~ '^${PREFIX}[0-9]+_'`,
  );
  for (const { run } of rows) {
    const key = [LOCK_CLASS, Number(run.slice(PREFIX.length))];
    const { rows: locks } = await session.query<{ free: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS free', key);
    if (!locks[0]?.free) continue;
    await dropRun(session, run);
    await session.query('SELECT pg_advisory_unlock($1, $2)', key);
  }
}

/** Drops the databases first, because PostgreSQL does not drop a role that still has privileges. */
async function dropRun(session: pg.Client, run: string): Promise<void> {
  const { rows } = await session.query<{ drop: string }>(
    `SELECT 'DROP DATABASE IF EXISTS ' || datname || ' WITH (FORCE)' AS drop FROM pg_database WHERE starts_with(datname, $1)
     UNION ALL SELECT 'DROP ROLE IF EXISTS ' || rolname FROM pg_roles WHERE starts_with(rolname, $1)
     ORDER BY 1`,
    [`${run}_`],
  );
  for (const { drop } of rows) await session.query(drop);
}

const DIRECTORY = /^passkey-manager-test-(\d+)-/;

/** Linux keeps the files of this directory in memory, where PostgreSQL copies a template ten times as fast as on a disk. */
const MEMORY = '/dev/shm';
/** Several times what a run takes. */
const ROOM_BYTES = 2 * 2 ** 30;

async function embeddedServer(): Promise<{ url: string; release: () => Promise<void> }> {
  await removeServersOfKilledRuns(tmpdir());
  const { bavail, bsize } = await statfs(MEMORY).catch(() => ({ bavail: 0, bsize: 0 }));
  const isRoomy = bavail * bsize > ROOM_BYTES;
  if (isRoomy) await removeServersOfKilledRuns(MEMORY);
  const parent = isRoomy ? MEMORY : tmpdir();
  const directory = await mkdtemp(join(parent, `passkey-manager-test-${String(process.pid)}-`));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const { url, stop } = await startEmbeddedPostgres({ directory, durable: false });
    const password = (await readFile(join(directory, 'postgres', 'password'), 'utf8')).trim();
    const superuser = Object.assign(new URL(url), { username: SUPERUSER, password });
    return { url: superuser.href, release: () => stop().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function removeServersOfKilledRuns(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = DIRECTORY.exec(name)?.[1];
    if (!pid || isAlive(Number(pid))) continue;
    const directory = join(parent, name);
    try {
      if (await hasServer(directory)) await (await startEmbeddedPostgres({ directory, durable: false })).stop();
      await rm(directory, { recursive: true, force: true });
    } catch {
      // The directory belongs to another user, or another run is removing it.
    }
  }
}

async function hasServer(directory: string): Promise<boolean> {
  const files = await readdir(join(directory, 'postgres', 'data')).catch((): string[] => []);
  return files.includes('postmaster.pid');
}
