import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import {
  DataSource,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
} from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { isDatabaseUnavailable } from './database-unavailable.js';

const withCode = (code: unknown, message = 'x'): Error => Object.assign(new Error(message), { code });

describe('the database is reported as unavailable', () => {
  it.each([
    ['08000', 'connection exception'],
    ['08006', 'connection failure'],
    ['53100', 'disk full'],
    ['53300', 'too many connections'],
    ['57014', 'query canceled: the statement took too long'],
    ['57P01', 'admin shutdown'],
    ['57P03', 'cannot connect now'],
    ['58030', 'I/O error'],
    ['40001', 'serialization failure'],
    ['40P01', 'deadlock'],
    ['25006', 'read only'],
    ['25P03', 'idle in a transaction for too long'],
    ['25P04', 'a transaction that took too long'],
    ['55P03', 'lock not available'],
    ['42501', 'the role may not write'],
    ['42P01', 'a table that is not there'],
    ['23514', 'a row that a rule refuses'],
    ['P0001', 'an error that a trigger raises'],
    ['XX001', 'damaged data'],
  ])('when PostgreSQL says %s, %s', (code) => {
    expect(isDatabaseUnavailable(withCode(code))).toBe(true);
    expect(isDatabaseUnavailable(new QueryFailedError('SELECT 1', [], withCode(code)))).toBe(true);
  });

  it.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'ENOENT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
  ])('when its socket says %s', (code) => {
    expect(isDatabaseUnavailable(withCode(code))).toBe(true);
  });

  it.each([new QueryRunnerAlreadyReleasedError(), new QueryRunnerProviderAlreadyReleasedError()])(
    'when its connection ended between two statements of a transaction: %s',
    (error) => {
      expect(isDatabaseUnavailable(error)).toBe(true);
    },
  );
});

describe('the database is not blamed', () => {
  it.each([undefined, null, 'ECONNREFUSED', 7, {}, { code: 'ECONNREFUSED' }, new Error('x'), new TypeError('timeout')])(
    'when %p was thrown',
    (error) => {
      expect(isDatabaseUnavailable(error)).toBe(false);
    },
  );

  it('when the code of an error is not a text, or is not a code of the database', () => {
    expect(isDatabaseUnavailable(withCode(8))).toBe(false);
    expect(isDatabaseUnavailable(withCode('EPERM'))).toBe(false);
    expect(isDatabaseUnavailable(withCode('ERR_INVALID_ARG_TYPE', 'timeout expired'))).toBe(false);
  });
});

describe('an error that node-postgres really throws is classified', () => {
  let database: TestDatabase;
  let silent: Server;
  beforeAll(async () => {
    database = await createTestDatabase();
    // It reads, so that it sees the end of a connection.
    silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    silent.close();
    await database.drop();
  });

  /** Jest gives tests their own Error class. Errors of Node are not instances of it. */
  const toThisRealm = (error: unknown): unknown =>
    error instanceof Error ? error : Object.setPrototypeOf(error, Error.prototype);

  async function errorOf(work: (pool: pg.Pool) => Promise<unknown>, options: pg.PoolConfig = {}): Promise<unknown> {
    const pool = new pg.Pool({ connectionString: database.url, max: 1, ...options }).on('error', () => undefined);
    try {
      return await work(pool).then(
        () => 'nothing',
        (error: unknown) => toThisRealm(error),
      );
    } finally {
      if (!pool.ended) void pool.end();
    }
  }
  const silentUrl = (): string => `postgresql://x@127.0.0.1:${String((silent.address() as { port: number }).port)}/x`;

  it.each<[string, () => Promise<unknown>]>([
    [
      'no server listens',
      () => errorOf((pool) => pool.query('SELECT 1'), { connectionString: 'postgresql://x@127.0.0.1:1/x' }),
    ],
    [
      'the server does not answer',
      () => errorOf((pool) => pool.query('SELECT 1'), { connectionString: silentUrl(), connectionTimeoutMillis: 50 }),
    ],
    [
      'the name is unknown',
      () => errorOf((pool) => pool.query('SELECT 1'), { connectionString: 'postgresql://x@db.invalid/x' }),
    ],
    [
      'the socket file is not there',
      () => errorOf((pool) => pool.query('SELECT 1'), { connectionString: 'postgresql:///x?host=/nowhere' }),
    ],
    ['the table does not exist', () => errorOf((pool) => pool.query('SELECT * FROM nothing'))],
    ['the session is ended', () => errorOf((pool) => pool.query('SELECT pg_terminate_backend(pg_backend_pid())'))],
    [
      'the statement takes too long',
      () => errorOf((pool) => pool.query('SELECT pg_sleep(5)'), { statement_timeout: 20 }),
    ],
    ['the answer takes too long', () => errorOf((pool) => pool.query('SELECT pg_sleep(5)'), { query_timeout: 20 })],
    [
      'the transaction is read only',
      () => errorOf((pool) => pool.query('DELETE FROM challenge'), { options: '-c default_transaction_read_only=on' }),
    ],
    [
      'the pool is busy for too long',
      () =>
        errorOf((pool) => Promise.all([pool.query('SELECT pg_sleep(5)'), pool.query('SELECT 1')]), {
          connectionTimeoutMillis: 50,
        }),
    ],
    [
      'the pool is closed',
      () =>
        errorOf(async (pool) => {
          await pool.end();
          await pool.query('SELECT 1');
        }),
    ],
  ])('as unavailable when %s', async (_, thrown) => {
    const error = await thrown();
    expect([String(error), isDatabaseUnavailable(error)]).toEqual([String(error), true]);
  });

  it('as unavailable when TypeORM wraps it', async () => {
    const dataSource = await new DataSource({ type: 'postgres', driver: pg, url: database.url }).initialize();
    const error = await dataSource
      .query('SELECT pg_terminate_backend(pg_backend_pid())')
      .catch((caught: unknown) => caught);
    await dataSource.destroy();
    expect(error).toBeInstanceOf(QueryFailedError);
    expect(isDatabaseUnavailable(error)).toBe(true);
  });
});
