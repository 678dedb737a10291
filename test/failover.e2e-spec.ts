import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { countConnections } from '../src/database/data-source.js';
import { migrate } from '../src/database/schema.js';
import { SUPERUSER } from '../dev/embedded-postgres/cluster.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../dev/embedded-postgres/embedded-postgres.js';
import { runRoleScript } from '../src/database/role-scripts.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Ceremonies } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

let directory: string;
let embedded: EmbeddedPostgres;
let superuser: pg.Client;
let passwordFile: string;
let service: TestService;
let login: Ceremonies<string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-failover-'));
  embedded = await startEmbeddedPostgres({ directory, durable: false });
  await migrate(embedded.migratorUrl);
  await runRoleScript('grants.sql', embedded.migratorUrl);
  const password = (await readFile(join(directory, 'postgres', 'password'), 'utf8')).trim();
  superuser = new pg.Client({
    connectionString: Object.assign(new URL(embedded.url), { username: SUPERUSER, password }).href,
  });
  // The last test ends its session.
  superuser.on('error', () => undefined);
  await superuser.connect();
  const url = new URL(embedded.url);
  passwordFile = join(directory, 'password');
  await writeFile(passwordFile, url.password);
  url.password = '';
  service = await TestService.start({
    databaseUrl: () => Promise.resolve(url.href),
    env: { PASSKEY_DATABASE_PASSWORD_FILE: passwordFile },
  });
  login = await service.relyingParty('login.example.com');
});
afterAll(async () => {
  await service.stop();
  await superuser.end();
  await embedded.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Users who register without a pause, so that no connection is idle for long. */
class Load {
  readonly statuses: number[] = [];
  private ending = false;
  private readonly users = Array.from({ length: 8 }, (_, user) => this.register(`user-${String(user)}`));

  /** Waits until this many registrations in a row have succeeded. */
  async succeeds(count: number): Promise<void> {
    await until(() => {
      const last = this.statuses.slice(-count);
      return Promise.resolve(last.length === count && last.every((status) => status === 201));
    });
  }

  async end(): Promise<void> {
    this.ending = true;
    await Promise.all(this.users);
  }

  private async register(name: string): Promise<void> {
    for (let count = 0; !this.ending; count += 1) {
      const { status, body } = await login.requestRegistration(`${name}-${String(count)}`);
      if (status !== 201) {
        this.statuses.push(status);
        continue;
      }
      const response = new Authenticator().create(body.publicKey, login.origin);
      this.statuses.push((await login.answerRegistration(body.challengeId, response)).status);
    }
  }
}

describe('when the password of the service’s role is changed', () => {
  const list = (): Promise<Answer<unknown>> => service.client.call('auth-service', 'GET', '/v1/credentials');

  it('a request that needs a new connection is answered 503 until the file has the new password', async () => {
    await superuser.query(`ALTER ROLE passkey_manager PASSWORD 'changed'`);
    await superuser.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'passkey_manager'`,
    );
    for (const request of [list, () => login.requestAuthentication(), () => login.requestRegistration('ada')]) {
      const { status, headers, body } = await request();
      expect([status, body]).toMatchObject([503, { type: 'urn:passkey-manager:problem:unavailable' }]);
      expect(headers['retry-after']).toBe('1');
    }
    await writeFile(`${passwordFile}.new`, 'changed\n');
    await rename(`${passwordFile}.new`, passwordFile);
    for (const request of [list, () => login.requestAuthentication(), () => login.requestRegistration('ada')]) {
      expect([200, 201]).toContain((await request()).status);
    }
  });
});

/** By then every connection has been used under load. */
const NOTICED_MS = 5_000;

describe('after a failover that leaves the sessions alive', () => {
  /** Makes existing sessions read-only. A new session reaches a server that accepts writes. */
  async function demote(): Promise<void> {
    await superuser.query('ALTER ROLE passkey_manager SET default_transaction_read_only = off');
    await superuser.query('ALTER SYSTEM SET default_transaction_read_only = on');
    await superuser.query('SELECT pg_reload_conf()');
  }

  it('each connection fails at most once, with 503, and the service goes on under load', async () => {
    const load = new Load();
    await load.succeeds(20);
    await demote();
    // The service itself may notice it first: its background work uses the same connections.
    const noticed = performance.now() + NOTICED_MS;
    await until(() => load.statuses.includes(503) || performance.now() > noticed);
    await load.succeeds(60);
    await load.end();
    const failures = load.statuses.filter((status) => status !== 201);
    const { hot, rest } = countConnections(1);
    expect(failures.filter((status) => status !== 503)).toEqual([]);
    expect(failures.length).toBeLessThanOrEqual(2 * (hot + rest));
  });
});

describe('after a crash of one of the server’s processes (57P02)', () => {
  it('every request that fails is answered 503, and the service goes on under load', async () => {
    const load = new Load();
    await load.succeeds(20);
    const { rows } = await superuser.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE usename = 'passkey_manager' AND application_name = 'passkey-manager' LIMIT 1`,
    );
    process.kill(rows[0]!.pid, 'SIGKILL');
    await until(() => load.statuses.includes(503));
    await load.succeeds(60);
    await load.end();
    expect(new Set(load.statuses)).toEqual(new Set([201, 503]));
    await until(async () => (await fetch(`${service.running.managementUrl}/health/ready`)).status === 200);
  });
});
