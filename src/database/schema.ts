import type pg from 'pg';
import { DataSource } from 'typeorm';
import { ConfigError } from '../config/config.js';
import { createCommandOptions, findPendingMigrations, MIGRATIONS_TABLE } from './data-source.js';
import { findMissingPrivilege } from './service-privileges.js';

const COMMAND = 'npm run migration:run -- --grants';
const RUN = `run the migrations as its migrator: ${COMMAND}`;
/** SQL: programs that change the schema follow each other. The end of the session lets the next one go on. */
export const TAKE_TURN = `SELECT pg_advisory_lock(hashtextextended('passkey-manager migrations', 0))`;
const GRANT = `run the grants as its migrator: ${COMMAND}`;

export interface SchemaFacts {
  readonly role: string;
  /** The owner of the tables; null if there are none. */
  readonly owner: string | null;
  /** The role may read the tables. */
  readonly mayRead: boolean;
  /** The role may make tables. */
  readonly mayCreate: boolean;
}

/**
 * Migrates a database to the schema of this version.
 *
 * @param record called with the names of the migrations that ran, before the connection closes
 * @returns the names of the migrations that ran
 * @throws ConfigError if the role may not migrate
 */
export async function migrate(
  url: string,
  record?: (dataSource: DataSource, names: string[]) => Promise<void>,
  passwordFile?: string,
  onStep?: (step: string) => void,
): Promise<string[]> {
  return withDataSource(url, passwordFile, async (dataSource, session) => {
    await demandMigrator(session);
    // Replicas that start together take turns, and the later ones find everything done.
    await session.query(TAKE_TURN);
    if (onStep && (await dataSource.showMigrations())) onStep('Migrating the database');
    const names = (await dataSource.runMigrations()).map(({ name }) => name);
    await record?.(dataSource, names);
    return names;
  });
}

/** @returns the migrations of this version in their order, and if each has run */
export async function listMigrations(url: string, passwordFile?: string): Promise<{ name: string; hasRun: boolean }[]> {
  return withDataSource(url, passwordFile, async ({ migrations }, session) => {
    const { role, owner, mayRead } = await readSchemaFacts(session);
    if (owner !== null && !mayRead)
      throw new ConfigError([`The role ${role} may not read the tables of this service: ${GRANT}`]);
    const names = migrations.map(({ name }) => name ?? '');
    const pending = owner === null ? names : await findPendingMigrations(session);
    return names.map((name) => ({ name, hasRun: !pending.includes(name) }));
  });
}

/**
 * Reverts the migration that ran last, with its data.
 *
 * @returns its name; undefined if none has run
 * @throws ConfigError if the role does not own the schema
 */
export async function revertMigration(url: string, passwordFile?: string): Promise<string | undefined> {
  return withDataSource(url, passwordFile, async (dataSource, session) => {
    const { role, owner } = await readSchemaFacts(session);
    if (owner === null) return undefined;
    if (owner !== role) {
      throw new ConfigError([`The role ${role} may not change the schema of the database: revert as ${owner}`]);
    }
    await session.query(TAKE_TURN);
    const before = await findPendingMigrations(session);
    await dataSource.undoLastMigration();
    return (await findPendingMigrations(session)).find((name) => !before.includes(name));
  });
}

async function withDataSource<Result>(
  url: string,
  passwordFile: string | undefined,
  work: (dataSource: DataSource, session: pg.ClientBase) => Promise<Result>,
): Promise<Result> {
  const dataSource = await new DataSource(createCommandOptions(url, passwordFile)).initialize();
  try {
    return await work(dataSource, (await dataSource.createQueryRunner().connect()) as pg.ClientBase);
  } finally {
    await dataSource.destroy();
  }
}

/**
 * Checks that the schema has every migration of this version, and that the role has what grants.sql gives it. (A schema with more migrations belongs to a later version, and
 * fits.)
 *
 * @throws ConfigError that says what to run
 */
export async function demandSchema(session: pg.ClientBase): Promise<void> {
  const { role, owner, mayRead } = await readSchemaFacts(session);
  if (owner === null) throw new ConfigError([`The database has no tables of this service: ${RUN}`]);
  if (!mayRead) throw new ConfigError([`The role ${role} may not read the tables of this service: ${GRANT}`]);
  if ((await findPendingMigrations(session)).length > 0) {
    throw new ConfigError([`The database lacks migrations of this version: ${RUN}`]);
  }
  const missing = await findMissingPrivilege(session);
  if (missing !== undefined) throw new ConfigError([`The role ${role} lacks ${missing}: ${GRANT}`]);
}

/** Checks that the role may run the migrations that the database lacks. */
async function demandMigrator(session: pg.ClientBase): Promise<void> {
  const { role, owner, mayRead, mayCreate } = await readSchemaFacts(session);
  if (mayCreate && (owner === null || owner === role)) return;
  if (mayRead && (await findPendingMigrations(session)).length === 0) return;
  const migrator =
    owner ?? 'a role that may make tables there, which is passkey_migrator after deploy/postgres/roles.sql';
  throw new ConfigError([
    `The role ${role} may not change the schema of the database: run the migrations as ${migrator}: ${COMMAND}`,
  ]);
}

/** The catalog answers without privileges on the schema and its tables. */
export async function readSchemaFacts(session: pg.ClientBase): Promise<SchemaFacts> {
  const { rows } = await session.query<SchemaFacts>(
    `SELECT current_user AS role, pg_get_userbyid(c.relowner) AS owner,
            coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false) AS "mayRead",
            coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS "mayCreate"
       FROM (VALUES (to_regnamespace('public'))) AS n (oid)
       LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $1`,
    [MIGRATIONS_TABLE],
  );
  return rows[0]!;
}
