import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { formatVerifierKey, readPublicKeys } from '../src/tlog/keys.js';
import { createTestDatabase, databaseUrl, type TestDatabase } from '../test/support/database.js';
import { FakeOldPostgres } from '../test/support/fake-old-postgres.js';

let directory: string;
let database: TestDatabase;
let old: FakeOldPostgres;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-unusable-'));
  const [key] = readPublicKeys(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }), 'log');
  await writeFile(join(directory, 'audit.pub'), `${formatVerifierKey(key!)}\n`);
  await writeFile(join(directory, 'keys'), `${Buffer.alloc(32, 1).toString('base64')}\n`, { mode: 0o600 });
  const payment = JSON.parse(await readFile('commands/payment-replay.sample.json', 'utf8')) as object;
  const withoutEvidence = { ...payment, event: undefined, publicKey: undefined };
  await writeFile(join(directory, 'payment.json'), JSON.stringify(withoutEvidence));
  database = await createTestDatabase();
  old = await FakeOldPostgres.listen('14.19 (Debian 14.19-1)');
});
afterAll(async () => {
  await old.close();
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

/** Runs a built program to its end. */
function run(url: string, program: string, ...args: string[]): Promise<{ code: number; said: string; out: string }> {
  const env = { DATABASE_URL: url, PASSKEY_BINDING_KEY_FILE: join(directory, 'keys') };
  return new Promise((resolve) => {
    execFile(process.execPath, [`dist/commands/${program}.js`, ...args], { env }, (error, out, said) => {
      resolve({ code: error ? Number(error.code) : 0, said: said.trim(), out: out.trim() });
    });
  });
}

const ARCHIVE = (): string[] => ['audit-archive', '--before', '2020-01-01', '--key', join(directory, 'audit.pub')];
const PROGRAMS: readonly (() => string[])[] = [
  () => ['migrate'],
  () => ['migrate', '--show'],
  () => ['migrate', '--revert'],
  () => ['reconcile'],
  () => ['keys', 'status'],
  ARCHIVE,
  () => ['payment-replay', join(directory, 'payment.json')],
];
const runAll = async (url: string, programs = PROGRAMS): Promise<unknown[]> =>
  Promise.all(
    programs.map(async (list) => {
      const [program, ...args] = list();
      return run(url, program!, ...args);
    }),
  );

describe('each program says in one sentence', () => {
  it('that the server is older than 15', async () => {
    const said =
      'DATABASE_URL names a database that cannot be used: it is PostgreSQL 14, and the service needs 15 or later';
    const outcomes = await runAll(old.url);
    expect(outcomes).toEqual(PROGRAMS.map(() => ({ code: expect.any(Number), said, out: '' })));
  });

  it('that there is no such database, and that nobody listens', async () => {
    const missing = databaseUrl(database.ownerUrl, 'nowhere');
    for (const [url, words] of [
      [missing, 'it has no such database \\(database "nowhere" does not exist\\)'],
      ['postgresql://x@127.0.0.1:1/x', '.*ECONNREFUSED.*'],
    ] as const) {
      const said = expect.stringMatching(new RegExp(`^DATABASE_URL names a database that cannot be used: ${words}$`));
      expect(await runAll(url)).toEqual(PROGRAMS.map(() => ({ code: expect.any(Number), said, out: '' })));
    }
  });

  it('that the migrator is another role', async () => {
    const role = new URL(database.url).username;
    const owner = new URL(database.migratorUrl).username;
    expect(await run(database.url, 'migrate', '--revert')).toEqual({
      code: 2,
      said: `The role ${role} may not change the schema of the database: revert as ${owner}`,
      out: '',
    });
  });
});

describe('migrate', () => {
  it('shows the migrations, reverts the last one and runs it again', async () => {
    const shown = await run(database.migratorUrl, 'migrate', '--show');
    const names = shown.out.split('\n').map((line) => line.replace('[X] ', ''));
    const last = names.at(-1)!;
    expect(names.every((name) => /^\w+$/.test(name))).toBe(true);
    expect(await run(database.migratorUrl, 'migrate', '--revert')).toEqual({
      code: 0,
      said: '',
      out: `Reverted: ${last}`,
    });
    expect((await run(database.migratorUrl, 'migrate', '--show')).out.split('\n').at(-1)).toBe(`[ ] ${last}`);
    expect((await run(database.migratorUrl, 'migrate')).out).toBe(`Migrated: ${last}`);
    expect(await run(database.migratorUrl, 'migrate', '--show')).toEqual(shown);
  });

  it('does one thing at a time', async () => {
    const { code, said } = await run(database.migratorUrl, 'migrate', '--show', '--revert');
    expect([code, said.split('\n')[0]]).toEqual([2, 'Give one of --show, --revert, or --grants and --sequencer.']);
  });
});

describe('a database without tables', () => {
  beforeAll(async () => {
    const session = new pg.Client({ connectionString: database.ownerUrl });
    await session.connect();
    await session.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await session.end();
  });

  it('lets each program say what to run', async () => {
    const outcomes = await runAll(database.ownerUrl, PROGRAMS.slice(3));
    const said = expect.stringMatching(
      /^its schema is not that of this version.* npm run migration:run -- --grants \(relation "[\w.]+" does not exist\)$/,
    );
    expect(outcomes).toEqual(PROGRAMS.slice(3).map(() => ({ code: expect.any(Number), said, out: '' })));
  });

  it('has no migration that ran, and none to revert', async () => {
    const { out } = await run(database.ownerUrl, 'migrate', '--show');
    expect(out.split('\n').every((line) => line.startsWith('[ ] '))).toBe(true);
    expect((await run(database.ownerUrl, 'migrate', '--revert')).out).toBe('Nothing to revert.');
  });
});
