import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../dev/embedded-postgres/embedded-postgres.js';

/** A server of its own, because the scripts name the roles, and the other tests give them other names. */
let postgres: EmbeddedPostgres;
let directory: string;
let passwordFile: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-migrate-'));
  postgres = await startEmbeddedPostgres({ directory, durable: false });
  passwordFile = join(directory, 'migrator');
  await writeFile(passwordFile, `${new URL(postgres.migratorUrl).password}\n`);
});
afterAll(async () => {
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const migrate = (...args: string[]): Promise<Outcome> => run('migrate', ...args);

/** Runs a built program with the migrator's password in a file. */
function run(program: string, ...args: string[]): Promise<Outcome> {
  const url = Object.assign(new URL(postgres.migratorUrl), { password: '' }).href;
  const env = { DATABASE_URL: url, PASSKEY_DATABASE_PASSWORD_FILE: passwordFile };
  return new Promise((resolve) => {
    execFile(process.execPath, [`dist/commands/${program}.js`, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** @returns the privileges of both logins of the service on the tables of the log */
async function readPrivileges(): Promise<Record<string, boolean>> {
  const session = new pg.Client({ connectionString: postgres.migratorUrl });
  await session.connect();
  const { rows } = await session.query<Record<string, boolean>>(
    `SELECT has_table_privilege('passkey_manager', 'audit_event', 'INSERT') AS records,
            has_table_privilege('passkey_manager', 'audit_leaf', 'INSERT') AS sequences,
            has_table_privilege('passkey_sequencer', 'audit_leaf', 'INSERT') AS apart`,
  );
  await session.end();
  return rows[0]!;
}

describe('migration:run', () => {
  it('grants nothing by itself', async () => {
    const { code, stdout } = await migrate();
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^Migrated: \w+/) });
    expect(await readPrivileges()).toEqual({ records: false, sequences: false, apart: false });
  });

  it('with --grants lets the service record events and sequence them, also in two runs at once', async () => {
    const outcome = { code: 0, stdout: 'Nothing to migrate.\nRan grants.sql.\n', stderr: '' };
    expect(await Promise.all([migrate('--grants'), migrate('--grants')])).toEqual([outcome, outcome]);
    expect(await readPrivileges()).toEqual({ records: true, sequences: true, apart: false });
  });

  it('with --sequencer leaves the log to its own writer', async () => {
    const { code, stdout } = await migrate('--sequencer');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'Nothing to migrate.\nRan grants.sql.\nRan sequencer.sql.\n',
    });
    expect(await readPrivileges()).toEqual({ records: true, sequences: false, apart: true });
  });

  it('ends with 2 when a script fails', async () => {
    const session = new pg.Client({ connectionString: postgres.migratorUrl });
    await session.connect();
    await session.query('ALTER TABLE approval RENAME TO approval_away');
    expect(await migrate('--grants')).toMatchObject({ code: 2, stderr: expect.stringContaining('"approval"') });
    await session.query('ALTER TABLE approval_away RENAME TO approval');
    await session.end();
  });
});

describe('migration:distribute', () => {
  it('says that the database belongs to no Citus cluster, and changes nothing', async () => {
    expect(await run('distribute')).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^The database has no extension citus: .+\n$/),
    });
  });
});
