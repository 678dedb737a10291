import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { until } from '../../test/support/until.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';

const support = join(import.meta.dirname, '../../test/support');

let directory: string;
let services: ChildProcess[] = [];

/** Starts a service in a process group of its own, as a terminal does. */
function launch(): ChildProcess {
  const service = spawn(
    process.execPath,
    ['--import', join(support, 'typescript-resolution.mjs'), join(support, 'embedded-service.ts'), directory],
    { detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  services.push(service);
  return service;
}

async function readLine(service: ChildProcess): Promise<string> {
  const [chunk] = (await once(service.stdout as NonNullable<typeof service.stdout>, 'data')) as [Buffer];
  return chunk.toString().trim();
}

async function openSession(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function killService(service: ChildProcess): Promise<void> {
  service.kill('SIGKILL');
  await once(service, 'exit');
}

const getPostmasterPath = (): string => join(directory, 'postgres/data/postmaster.pid');

/**
 * Starts on the directory again. Returns the number of rows in `acknowledged`, and true for `ended` if stop() left no
 * server.
 */
async function startAgain(): Promise<{ acknowledged: number; ended: boolean }> {
  const { migratorUrl, stop } = await startEmbeddedPostgres({ directory });
  const client = await openSession(migratorUrl);
  const { rows } = await client.query<{ acknowledged: number }>(
    'SELECT count(*)::int AS acknowledged FROM acknowledged',
  );
  await stop();
  const left = await stat(getPostmasterPath()).catch(() => undefined);
  return { acknowledged: Number(rows[0]?.acknowledged), ended: left === undefined };
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
});
afterEach(async () => {
  for (const service of services) service.kill('SIGKILL');
  services = [];
  await rm(directory, { recursive: true, force: true });
});

/** Kills the shell that would end the server after the service: the child that has the server's pid file as an argument. */
async function killWatchman({ pid }: ChildProcess): Promise<void> {
  const { stdout } = await promisify(execFile)('pgrep', ['-P', String(pid), '-f', getPostmasterPath()]);
  process.kill(Number(stdout), 'SIGKILL');
}

const isServerGone = (): Promise<boolean> =>
  stat(getPostmasterPath()).then(
    () => false,
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );

describe('after kill -9 of the service', () => {
  it('its server ends, and the next start has everything that was acknowledged', async () => {
    const service = launch();
    const client = await openSession(await readLine(service));
    await client.query('CREATE TABLE acknowledged AS SELECT 1');
    await killService(service);
    await until(isServerGone);
    expect(await startAgain()).toEqual({ acknowledged: 1, ended: true });
  });

  it('a server that was restarted meanwhile ends, too', async () => {
    const service = launch();
    const client = await openSession(await readLine(service));
    await client.query('CREATE TABLE acknowledged AS SELECT 1');
    const first = await readFile(getPostmasterPath(), 'utf8');
    process.kill(Number.parseInt(first), 'SIGKILL');
    await until(async () => {
      const now = await readFile(getPostmasterPath(), 'utf8').catch(() => first);
      return now !== first && now.includes('ready');
    });
    await killService(service);
    await until(isServerGone);
    expect(await startAgain()).toEqual({ acknowledged: 1, ended: true });
  });

  it('the next start takes over a server that was left behind all the same, and ends it', async () => {
    const service = launch();
    const client = await openSession(await readLine(service));
    await client.query('CREATE TABLE acknowledged AS SELECT 1');
    await killWatchman(service);
    await killService(service);
    expect((await client.query('SELECT 1')).rowCount).toBe(1);
    expect(await startAgain()).toEqual({ acknowledged: 1, ended: true });
  });

  it('and of its server, the next start recovers, even if another program has their process id', async () => {
    const service = launch();
    const client = await openSession(await readLine(service));
    await client.query('CREATE TABLE acknowledged AS SELECT 1');
    await killWatchman(service);
    await killService(service);
    const lockFile = await readFile(getPostmasterPath(), 'utf8');
    process.kill(Number.parseInt(lockFile), 'SIGKILL');
    // A living process of the same user: PostgreSQL takes it for a running server.
    const { uid } = await stat(getPostmasterPath());
    const other = spawn('sleep', ['60'], { uid, stdio: 'ignore' });
    await once(other, 'spawn');
    await writeFile(getPostmasterPath(), lockFile.replace(/^\d+/, String(other.pid)));
    expect(await startAgain()).toEqual({ acknowledged: 1, ended: true });
    expect(other.exitCode).toBeNull();
    other.kill();
  });

  it('during its first start, the next start creates the database', async () => {
    const service = launch();
    await until(async () => (await readdir(directory)).length > 0);
    expect(await readdir(directory)).toEqual([expect.stringMatching(/^postgres\.initialising-/)]);
    await killService(service);
    const { url, stop } = await startEmbeddedPostgres({ directory });
    expect((await (await openSession(url)).query('SELECT 1')).rowCount).toBe(1);
    await stop();
    // An initdb may outlive its service for a moment and write into the directory that is being removed.
    const left = await readdir(directory);
    expect(left.filter((name) => !name.includes(`-${String(service.pid)}-`))).toEqual(['postgres']);
  });
});

describe('Ctrl-C', () => {
  it('reaches the whole process group, and the server answers until the service has drained, then ends with it', async () => {
    const service = launch();
    await readLine(service);
    process.kill(-Number(service.pid), 'SIGINT');
    expect(await readLine(service)).toBe('drained');
    expect(await once(service, 'exit')).toEqual([0, null]);
    await expect(stat(getPostmasterPath())).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a process that ends without stop()', () => {
  it('is not held up by the database, and ends its server', async () => {
    const script = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(join(import.meta.dirname, 'embedded-postgres.ts'))});
      await startEmbeddedPostgres({ directory: ${JSON.stringify(directory)}, durable: false });`;
    const hook = join(support, 'typescript-resolution.mjs');
    const child = spawn(process.execPath, ['--import', hook, '--input-type=module', '--eval', script], {
      stdio: 'inherit',
    });
    expect(await once(child, 'exit')).toEqual([0, null]);
    await until(isServerGone);
  });
});
