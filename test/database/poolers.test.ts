import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Server } from '../../tools/continuity/postgres.js';
import { Authenticator } from '../support/authenticator/authenticator.js';
import { ServiceProcess } from '../support/service-process.js';
import { Pooler, runProgram, Site } from './installed.js';

const DROPPED =
  'ignore_startup_parameters = options, statement_timeout, lock_timeout, idle_in_transaction_session_timeout';
const TRANSACTIONS = ['pool_mode = transaction', 'default_pool_size = 20', DROPPED];
const KEEPS_STATEMENTS = 1.21;

await describe('Behind PgBouncer', async () => {
  let site: Site;
  let server: Server;
  let env: NodeJS.ProcessEnv;
  let pooler: Pooler | undefined;
  const version = await Pooler.readVersion();

  const start = async (...settings: string[]): Promise<string> => {
    pooler = await Pooler.start(site, server, settings);
    return pooler.url('passkey_manager');
  };
  /** Starts the service in production, where it ends. */
  const fail = async (url: string): Promise<string> => {
    const { code, said } = await runProgram('src/main.js', { ...env, DATABASE_URL: url });
    assert.equal(code, 1, said);
    assert.doesNotMatch(said, /\n\s+at /);
    return said;
  };
  /** Registers and signs in many users at once, so that their statements run at many servers of the pool. */
  const serve = async (url: string): Promise<void> => {
    const service = await ServiceProcess.start(site.path('prepared'), url, {
      ...env,
      PASSKEY_RELYING_PARTIES_FILE: undefined,
    });
    try {
      const { status } = await service.client.call('operator', 'PUT', '/v1/relying-parties/localhost', {
        name: 'Trial',
        origins: ['http://localhost:3000'],
      });
      assert.ok([200, 201].includes(status));
      const users = Array.from({ length: 24 }, async (_, user) => {
        const authenticator = new Authenticator();
        await service.ceremonies.registered(`user-${String(user)}`, authenticator);
        for (let count = 0; count < 5; count += 1) await service.ceremonies.authenticated(authenticator);
      });
      await Promise.all(users);
      assert.equal((await fetch(`${service.managementUrl}/health/ready`)).status, 200);
    } finally {
      await service.stop();
    }
  };

  before(async () => {
    site = await Site.create();
    env = await site.prepareProduction();
    server = await site.createServer('server');
  });
  afterEach(() => {
    pooler?.stop();
  });
  after(async () => {
    await server.stop();
    await rm(site.directory, { recursive: true, force: true });
  });

  await it('in transaction mode without prepared statements, the start is refused with the reason', async () => {
    const said = await fail(
      await start(...TRANSACTIONS, ...(version < KEEPS_STATEMENTS ? [] : ['max_prepared_statements = 0'])),
    );
    assert.match(
      said,
      /DATABASE_URL leads through a pooler that loses prepared statements between transactions: use PgBouncer 1\.21/,
    );
  });

  await it('that does not take the settings of a session, the start is refused and names them', async () => {
    assert.match(await fail(await start('pool_mode = transaction')), /unsupported startup parameter/);
  });

  await it('that drops settings which the role does not have, the start is refused and names them', async () => {
    await server.sql('ALTER ROLE passkey_manager RESET enable_seqscan');
    try {
      const said = await fail(await start(...TRANSACTIONS));
      assert.match(
        said,
        /a pooler that drops enable_seqscan: run deploy\/postgres\/roles\.sql, .* role passkey_manager/,
      );
    } finally {
      await server.sql('ALTER ROLE passkey_manager SET enable_seqscan = off');
    }
  });

  await it('in session mode, the service serves', async () => {
    await serve(await start('pool_mode = session', 'default_pool_size = 40', DROPPED));
  });

  await it(
    'in transaction mode with prepared statements, the service serves',
    { skip: version < KEEPS_STATEMENTS && `PgBouncer ${String(version)} has none; PGBOUNCER names another program` },
    async () => {
      await serve(await start(...TRANSACTIONS, 'max_prepared_statements = 200'));
    },
  );

  await it('a migration is refused, and leaves no lock at the server', async () => {
    await start(...TRANSACTIONS);
    const { code, said } = await runProgram('commands/migrate.js', {
      PATH: env['PATH'],
      DATABASE_URL: pooler?.url('passkey_migrator'),
    });
    assert.equal(code, 2);
    assert.match(said, /a pooler is in between, and would keep the locks of this program: name the server itself/);
    assert.doesNotMatch(said, /\n\s+at /);
    assert.deepEqual(await server.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory'`), []);
  });
});
