import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { issueAuthority, exportKey, issueServer as certified } from '../../test/support/trust-files.js';
import { isDatabaseUnavailable, DatabaseUnreachableError } from '../http/database-unavailable.js';
import { DatabasePool } from './database-pool.js';
import { DatabaseSession } from './database-session.js';

let directory: string;
let database: TestDatabase;
/** A role for this spec alone, because it changes the password. */
let role: string;
let roleUrl: URL;

async function runAsOwner(sql: string): Promise<void> {
  const session = new DatabaseSession({ connectionString: database.ownerUrl });
  await session.connect();
  await session.query(sql).finally(() => session.end());
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-session-'));
  database = await createTestDatabase();
  const name = new URL(database.url).pathname.slice(1);
  role = `${name}_rotated`;
  await runAsOwner(`CREATE ROLE ${role} LOGIN PASSWORD 'first'; GRANT CONNECT ON DATABASE ${name} TO ${role}`);
  roleUrl = new URL(database.url);
  [roleUrl.username, roleUrl.password] = [role, ''];
});
afterAll(async () => {
  await runAsOwner(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

/** PostgreSQL's AuthenticationCleartextPassword. */
const CLEARTEXT_PASSWORD = Buffer.from('520000000800000003', 'hex');

const catchError = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a password file', () => {
  it('is read for each new connection, so that a changed password needs no restart', async () => {
    const passwordFile = join(directory, 'password');
    await writeFile(passwordFile, 'first\n');
    const pool = new DatabasePool({ connectionString: roleUrl.href, passwordFile, max: 1, maxUses: 1 });
    await pool.query('SELECT 1');
    await runAsOwner(`ALTER ROLE ${role} PASSWORD 'second'`);
    expect(await catchError(pool.query('SELECT 1'))).toMatchObject({ name: 'DatabaseUnreachableError', code: '28P01' });
    await writeFile(`${passwordFile}.new`, 'second');
    await rename(`${passwordFile}.new`, passwordFile);
    expect((await pool.query('SELECT current_user AS role')).rows).toEqual([{ role }]);
    await pool.end();
  });

  it('that cannot be read prevents a connection, and leaves none open', async () => {
    const closed = Promise.withResolvers<undefined>();
    const server = createServer((socket) => {
      socket.on('error', () => undefined).once('close', closed.resolve);
      socket.once('data', () => socket.write(CLEARTEXT_PASSWORD));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `postgresql://x@127.0.0.1:${String((server.address() as AddressInfo).port)}/x`;
    const session = new DatabaseSession({ connectionString: url, passwordFile: join(directory, 'none') });
    expect(await catchError(session.connect())).toMatchObject({ name: 'DatabaseUnreachableError', code: 'ENOENT' });
    await closed.promise;
    server.close();
  });
});

describe('a connection that cannot be made is the same error, whatever the reason:', () => {
  let speaksTls: Server;
  let speaksNoTls: Server;
  beforeAll(async () => {
    const certificate = await certified(await issueAuthority());
    const secureContext = createSecureContext({ cert: certificate.pem, key: exportKey(certificate) });
    speaksTls = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write('S');
        new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => undefined);
      });
    });
    speaksNoTls = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write('N'));
    });
    for (const server of [speaksTls, speaksNoTls]) await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  afterAll(() => {
    for (const server of [speaksTls, speaksNoTls]) server.close();
  });
  const makeUrlAt = (server: Server, query: string): string =>
    `postgresql://x:x@127.0.0.1:${String((server.address() as AddressInfo).port)}/x${query}`;
  const makeUrlWith = (changes: Partial<Record<'username' | 'password' | 'pathname', string>>): string =>
    Object.assign(new URL(database.url), changes).href;

  it.each<[string, () => string, string | undefined]>([
    ['the password is wrong', () => makeUrlWith({ password: 'wrong' }), '28P01'],
    ['the role does not exist', () => makeUrlWith({ username: 'nobody_here' }), '28P01'],
    ['the database does not exist', () => makeUrlWith({ pathname: '/nothing_here' }), '3D000'],
    [
      'the server has a certificate of an authority that is not known',
      () => makeUrlAt(speaksTls, '?sslmode=verify-full'),
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    ['the server has no certificate', () => makeUrlAt(speaksNoTls, '?sslmode=verify-full'), undefined],
    [
      'a file that the URL names cannot be read',
      () => makeUrlAt(speaksTls, '?sslmode=verify-full&sslrootcert=/nowhere/ca.crt'),
      'ENOENT',
    ],
  ])('%s', async (_, url, code) => {
    const pool = new DatabasePool({ connectionString: url(), max: 1 });
    const error = await catchError(pool.query('SELECT 1'));
    expect(error).toBeInstanceOf(DatabaseUnreachableError);
    expect([isDatabaseUnavailable(error), (error as DatabaseUnreachableError).code]).toEqual([true, code]);
    await pool.end();
  });

  it('the database takes no connections', async () => {
    const name = new URL(database.url).pathname.slice(1);
    const session = new DatabaseSession({ connectionString: database.ownerUrl.replace(`/${name}`, '/postgres') });
    await session.connect();
    try {
      await session.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      const error = await catchError(new DatabaseSession({ connectionString: database.url }).connect());
      expect([isDatabaseUnavailable(error), error]).toMatchObject([true, { code: '55000' }]);
    } finally {
      await session.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`).finally(() => session.end());
    }
  });

  it('also for every request that waits for one', async () => {
    const pool = new DatabasePool({ connectionString: makeUrlAt(speaksTls, '?sslrootcert=/nowhere/ca.crt'), max: 1 });
    const errors = await Promise.all(Array.from({ length: 4 }, () => catchError(pool.query('SELECT 1'))));
    for (const error of errors) expect(error).toBeInstanceOf(DatabaseUnreachableError);
    await pool.end();
  });
});

describe('a pool', () => {
  it('refuses more than 512 waiting requests, and serves the others', async () => {
    const pool = new DatabasePool({ connectionString: database.url, max: 1 });
    const session = await pool.connect();
    const waiting = Array.from({ length: 512 }, () => pool.query('SELECT 1'));
    const full = { slug: 'unavailable', members: { retryAfter: 1 } };
    await expect(pool.query('SELECT 1')).rejects.toMatchObject(full);
    await expect(pool.connect()).rejects.toMatchObject(full);
    session.release();
    expect(await Promise.all(waiting)).toHaveLength(512);
    await pool.end();
  });

  const readPid = async (session: pg.ClientBase): Promise<unknown> =>
    (await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;

  /** pg takes a time limit for one statement, which its types leave out. */
  type Statement = pg.QueryConfig & { query_timeout?: number };

  /** @returns the process ids of two sessions of a pool with one connection; the statement runs in the first session */
  async function readPidsAround(statement: Statement, options: pg.PoolConfig = {}): Promise<[unknown, unknown]> {
    const pool = new DatabasePool({ connectionString: database.url, max: 1, ...options });
    const first = await pool.connect();
    const before = await readPid(first);
    await first.query('BEGIN');
    expect(await catchError(first.query(statement))).toBeInstanceOf(Error);
    const rollback: Statement = { ...statement, text: 'ROLLBACK' };
    await first.query(rollback).catch(() => undefined);
    first.release();
    const second = await pool.connect();
    const after = await readPid(second);
    second.release();
    await pool.end();
    return [before, after];
  }

  it.each<[string, Statement, pg.PoolConfig]>([
    [
      'the server refuses a write because it is read-only',
      { text: 'DELETE FROM challenge' },
      { options: '-c default_transaction_read_only=on' },
    ],
    ['the server does not answer', { text: 'SELECT pg_sleep(2)', query_timeout: 50 }, {}],
  ])('drops a session when %s', async (_, statement, options) => {
    const [before, after] = await readPidsAround(statement, options);
    expect(after).not.toBe(before);
  });

  it.each([
    ['is wrong', 'SELECT nothing'],
    ['takes too long', 'SET LOCAL statement_timeout = 50; SELECT pg_sleep(600)'],
  ])('keeps a session when a statement %s', async (_, text) => {
    const [before, after] = await readPidsAround({ text });
    expect(after).toBe(before);
  });
});
