import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { DatabasePool } from '../../src/database/database-pool.js';
import { runRoleScript } from '../../src/database/role-scripts.js';
import type { Server } from '../../tools/continuity/postgres.js';
import { Issuer, runProgram, Site } from './installed.js';

const HBA = `host all postgres 127.0.0.1/32 trust
hostssl all passkey_auditor all cert
host all all all scram-sha-256
`;

await describe('A server with a certificate', async () => {
  let site: Site;
  let server: Server;
  let known: Issuer;
  let other: Issuer;
  let expired: { cert: string; key: string };
  let env: NodeJS.ProcessEnv;
  const PASSWORD = 'secret';

  const reload = async (...settings: string[]): Promise<void> => {
    for (const setting of settings) await server.sql(`ALTER SYSTEM SET ${setting}`);
    await server.sql('SELECT pg_reload_conf()');
    await server.untilHolds("SELECT now() - pg_conf_load_time() < interval '1 minute' AS holds");
  };
  const useCertificate = async ({ cert, key }: { cert: string; key: string }): Promise<void> => {
    await reload(`ssl_cert_file = '${cert}'`, `ssl_key_file = '${key}'`, 'ssl = on');
  };
  const makeUrl = (query = '', login = `passkey_manager:${PASSWORD}`, host = 'localhost'): string =>
    `postgresql://${login}@${host}:${String(server.port)}/passkey_manager${query}`;

  /** Connects as the service does. @returns why it cannot, or undefined */
  const connect = async (url: string, passwordFile?: string): Promise<string | undefined> => {
    const pool = new DatabasePool({ connectionString: url, passwordFile, max: 1, connectionTimeoutMillis: 10_000 });
    return pool
      .query('SELECT 1')
      .then(
        () => undefined,
        (error: unknown) => (error as Error).message,
      )
      .finally(() => pool.end());
  };
  /** Connects as libpq does. */
  const connectByLibpq = (url: string): Promise<string | undefined> => {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const options = { env: { PATH: process.env['PATH'], HOME: site.directory, PGCONNECT_TIMEOUT: '10' } };
    execFile('psql', ['--no-psqlrc', '--no-password', '--command=SELECT 1', url], options, (error, _, stderr) => {
      resolve(error ? stderr : undefined);
    });
    return promise;
  };

  before(async () => {
    site = await Site.create();
    [known, other] = [await Issuer.create(site, 'known'), await Issuer.create(site, 'other')];
    const valid = await known.issue('localhost', 'localhost');
    expired = await known.issue('localhost', 'localhost', '20210101000000Z');
    for (const { key } of [valid, expired]) site.programs.give(`${key}.server`, await readFile(key, 'utf8'));
    env = await site.prepareProduction();
    server = await site.createServer('server', [`ssl_ca_file = '${known.certificate}'`]);
    await server.sql(
      `ALTER ROLE passkey_manager PASSWORD '${PASSWORD}'; ALTER ROLE passkey_migrator PASSWORD '${PASSWORD}'`,
    );
    site.programs.give(`${server.data}/pg_hba.conf`, HBA);
    expired = { ...expired, key: `${expired.key}.server` };
    await useCertificate({ ...valid, key: `${valid.key}.server` });
  });
  after(async () => {
    await server.stop();
    await rm(site.directory, { recursive: true, force: true });
  });

  for (const mode of ['disable', 'require', 'verify-ca', 'verify-full']) {
    for (const root of ['none', 'known', 'other']) {
      for (const host of ['localhost', '127.0.0.1']) {
        if (mode === 'disable' && root !== 'none') continue;
        await it(`is accepted with sslmode=${mode}, sslrootcert ${root} and host ${host} as by libpq`, async () => {
          const issuer = root === 'none' ? '' : `&sslrootcert=${(root === 'known' ? known : other).certificate}`;
          const url = makeUrl(`?sslmode=${mode}${issuer}`, undefined, host);
          const [ours, libpq] = [await connect(url), await connectByLibpq(url)];
          assert.equal(ours === undefined, libpq === undefined, `we: ${String(ours)}; libpq: ${String(libpq)}`);
        });
      }
    }
  }

  await it('asks for a client certificate, and accepts the one of the URL', async () => {
    const { cert, key } = await known.issue('passkey_auditor', 'nowhere');
    const root = `?sslmode=verify-full&sslrootcert=${known.certificate}`;
    const [with_, without] = [`${root}&sslcert=${cert}&sslkey=${key}`, root].map((query) =>
      makeUrl(query, 'passkey_auditor'),
    );
    assert.equal(await connectByLibpq(with_!), undefined);
    assert.equal(await connect(with_!), undefined);
    assert.match((await connect(without!)) ?? '', /certificate/);
  });

  for (const password of ['p@ss:w/rd?#%25', `'"\\ $(x)\``, 'ünïcödé 🔑', 'ﬁ½ Å', '\u00a0\u00ad', '%', 'a+b&c=d']) {
    await it(`has a role with the password ${JSON.stringify(password)}, in the URL and in a file`, async () => {
      await server.sql(`ALTER ROLE passkey_sequencer PASSWORD '${password.replaceAll("'", "''")}'`);
      const url = makeUrl('', `passkey_sequencer:${encodeURIComponent(password)}`);
      assert.equal(await connectByLibpq(url), undefined);
      assert.equal(await connect(url), undefined);
      await writeFile(site.path('password'), `${password}\n`);
      assert.equal(await connect(makeUrl('', 'passkey_sequencer'), site.path('password')), undefined);
    });
  }

  await describe('A start ends with one sentence', async () => {
    const FULL = (): string => `?sslmode=verify-full&sslrootcert=${known.certificate}`;
    const nothing = (): Promise<void> => Promise.resolve();
    const asOwner = (text: string) => (): Promise<unknown> => server.sql(text);

    const CASES: readonly [
      name: string,
      url: () => string,
      said: RegExp,
      prepare?: () => Promise<unknown>,
      undo?: () => Promise<unknown>,
    ][] = [
      [
        'if the authority is unknown',
        () => makeUrl(`?sslmode=verify-full&sslrootcert=${other.certificate}`),
        /not from a known authority: name the file of its authority in sslrootcert/,
      ],
      [
        'if the authority is private, and sslrootcert is not set',
        () => makeUrl('?sslmode=verify-full'),
        /not from a known authority: name the file of its authority in sslrootcert/,
      ],
      [
        'if the name is another',
        () => makeUrl(FULL(), undefined, '127.0.0.1'),
        /its certificate is for another name than the host/,
      ],
      [
        'if a file is not there',
        () => makeUrl('?sslmode=verify-full&sslrootcert=/nowhere/ca.crt'),
        /ENOENT.*\/nowhere\/ca\.crt/,
      ],
      [
        'if a file is not PEM',
        () => makeUrl(`?sslmode=verify-full&sslrootcert=${site.path('known.cnf')}`),
        /sslrootcert/,
      ],
      [
        'if the certificate has expired',
        () => makeUrl(FULL()),
        /its certificate has expired/,
        () => useCertificate(expired),
      ],
      [
        'if the server speaks no TLS',
        () => makeUrl(FULL()),
        /it does not use TLS, which sslmode demands/,
        () => reload('ssl = off'),
      ],
      [
        'without the password',
        () => makeUrl('', 'passkey_manager'),
        /it asks for a password, and the settings have none/,
      ],
      ['with a wrong password', () => makeUrl('', 'passkey_manager:wrong'), /password authentication failed/],
      ['with an unknown role', () => makeUrl('', 'nobody:x'), /password authentication failed/],
      [
        'with a bad escape',
        () => makeUrl('', 'passkey_manager:50%'),
        /DATABASE_URL has a % in its user or its password/,
      ],
      [
        'with an unknown database',
        () => makeUrl().replace(/\/passkey_manager$/, '/nothing'),
        /it has no such database/,
      ],
      [
        'on a database without tables',
        () => makeUrl().replace(/\/passkey_manager$/, '/empty'),
        /no tables of this service: run the migrations as its migrator: npm run migration:run -- --grants/,
        () => server.sql('CREATE DATABASE empty', 'postgres'),
      ],
      [
        'on a server that takes no writes',
        () => makeUrl(),
        /it takes no writes: it is a standby, or default_transaction_read_only is on/,
        asOwner('ALTER ROLE passkey_manager SET default_transaction_read_only = on'),
        asOwner('ALTER ROLE passkey_manager RESET default_transaction_read_only'),
      ],
      [
        'at the limit of connections',
        () => makeUrl(),
        /too many connections for role/,
        asOwner('ALTER ROLE passkey_manager CONNECTION LIMIT 0'),
        asOwner('ALTER ROLE passkey_manager CONNECTION LIMIT -1'),
      ],
      [
        'without privileges',
        () => makeUrl(),
        /may not read the tables of this service: run the grants as its migrator: npm run migration:run -- --grants/,
        asOwner('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM passkey_manager'),
        () => runRoleScript('grants.sql', makeUrl('', `passkey_migrator:${PASSWORD}`)),
      ],
      [
        'without a privilege on one table',
        () => makeUrl(),
        /The role passkey_manager lacks SELECT on seal_key: run the grants as its migrator: npm run migration:run -- --grants/,
        asOwner('REVOKE ALL ON seal_key FROM passkey_manager'),
        () => runRoleScript('grants.sql', makeUrl('', `passkey_migrator:${PASSWORD}`)),
      ],
    ];
    for (const [name, url, said, prepare = nothing, undo = nothing] of CASES) {
      await it(name, async () => {
        await prepare();
        const ended = await runProgram('src/main.js', { ...env, DATABASE_URL: url() }).finally(undo);
        assert.match(ended.said, said);
        assert.equal(ended.code, 1);
        assert.doesNotMatch(ended.said, /\n\s+at /);
        assert.ok(!ended.said.includes(PASSWORD));
      });
    }

    await it('as the service’s role, when a migration is to run', async () => {
      await server.sql('DELETE FROM schema_migration WHERE id = (SELECT max(id) FROM schema_migration)');
      const ended = await runProgram('commands/migrate.js', { PATH: env['PATH'], DATABASE_URL: makeUrl() });
      assert.deepEqual(ended, {
        code: 2,
        said: 'The role passkey_manager may not change the schema of the database: run the migrations as passkey_migrator: npm run migration:run -- --grants\n',
      });
    });
  });
});
