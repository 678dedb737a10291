import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { CitusNodes } from './citus-nodes.js';
import { ROLES, readTestRoles } from './test-roles.js';

export interface TestDatabase {
  /** The URL of the service's own role. */
  readonly url: string;
  /** The URL of a role that may do everything, for changes that bypass the service. */
  readonly ownerUrl: string;
  readonly migratorUrl: string;
  readonly auditorUrl: string;
  /** The URL of the writer of the log. It has privileges once sequencer.sql has run. */
  readonly sequencerUrl: string;
  /** Drops the database and ends its sessions. */
  drop(): Promise<void>;
}

/** Milliseconds that suites may wait for the template, because PostgreSQL makes one copy at a time. */
const PATIENCE = 60_000;

/** SQLSTATE object_in_use: "source database is being accessed by other users". */
const OBJECT_IN_USE = '55006';

let copies = 0;

/** Creates an empty database with the service's schema, for the roles of deploy/postgres. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const url = process.env['PASSKEY_TEST_DATABASE_URL'];
  const template = process.env['PASSKEY_TEST_TEMPLATE'];
  if (!url || !template) throw new Error('There is no test database: global-setup.ts did not run');
  const roles = readTestRoles();
  const name = template.replace(
    /template$/,
    `${String(process.pid)}_${String((copies += 1))}_${Date.now().toString(36)}`,
  );
  const deadline = Date.now() + PATIENCE;
  const nodes = new CitusNodes();
  await nodes.each((session) => session.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  await withSession(url, async (session) => {
    while (!(await copied(session, name, template))) {
      if (Date.now() > deadline) throw new Error(`${template} stays in use`);
      await sleep(20 + Math.random() * 50);
    }
    // PostgreSQL does not copy a template's privileges on the database itself.
    await session.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
    await session.query(roles.named(`GRANT CONNECT ON DATABASE ${name} TO ${ROLES.join()}`));
  });
  const ownerUrl = databaseUrl(url, name);
  return {
    url: roles.urlAs('passkey_manager', ownerUrl),
    ownerUrl,
    migratorUrl: roles.urlAs('passkey_migrator', ownerUrl),
    auditorUrl: roles.urlAs('passkey_auditor', ownerUrl),
    sequencerUrl: roles.urlAs('passkey_sequencer', ownerUrl),
    drop: async () => {
      const drop = (session: pg.Client): Promise<unknown> =>
        session.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await withSession(url, drop);
      await nodes.each(drop);
    },
  };
}

export function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

async function copied(session: pg.Client, name: string, template: string): Promise<boolean> {
  try {
    await session.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === OBJECT_IN_USE) return false;
    throw error;
  }
}

async function withSession(url: string, work: (session: pg.Client) => Promise<unknown>): Promise<void> {
  const session = new pg.Client({ connectionString: url, application_name: 'passkey-manager tests' });
  await session.connect();
  try {
    await work(session);
  } finally {
    await session.end();
  }
}
