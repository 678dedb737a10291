import type pg from 'pg';
import { DataSource } from 'typeorm';
import { ConfigError } from '../config/config.js';
import { createCommandOptions, findPendingMigrations, MIGRATIONS_TABLE } from './data-source.js';
import { demandVersion } from './session-check.js';

const COMMAND = 'npm run migration:run -- --grants';
const RUN = `run the migrations as its migrator: ${COMMAND}`;
/** SQL: programs that change the schema follow each other. The end of the session lets the next one go on. */
export const TAKE_TURN = `SELECT pg_advisory_lock(hashtextextended('passkey-manager migrations', 0))`;
const GRANT = `run the grants as its migrator: ${COMMAND}`;

export interface SchemaFacts {
  readonly version: number;
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
 * @throws ConfigError if the server is too old, or the role may not migrate
 */
export async function migrate(
  url: string,
  record?: (dataSource: DataSource, names: string[]) => Promise<void>,
  passwordFile?: string,
  onStep?: (step: string) => void,
): Promise<string[]> {
  const dataSource = await new DataSource(createCommandOptions(url, passwordFile)).initialize();
  try {
    const turn = dataSource.createQueryRunner();
    await demandMigrator((await turn.connect()) as pg.ClientBase);
    // Replicas that start together take turns, and the later ones find everything done.
    await turn.query(TAKE_TURN);
    if (onStep && (await dataSource.showMigrations())) onStep('Migrating the database');
    const names = (await dataSource.runMigrations()).map(({ name }) => name);
    await record?.(dataSource, names);
    return names;
  } finally {
    await dataSource.destroy();
  }
}

/**
 * Checks that the schema has every migration of this version. (A schema with more migrations belongs to a later version, and
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
}

/** Checks that the role may run the migrations that the database lacks. */
async function demandMigrator(session: pg.ClientBase): Promise<void> {
  const { version, role, owner, mayRead, mayCreate } = await readSchemaFacts(session);
  demandVersion(version);
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
    `SELECT current_setting('server_version_num')::int AS version, current_user AS role, pg_get_userbyid(c.relowner) AS owner,
            coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false) AS "mayRead",
            coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS "mayCreate"
       FROM (VALUES (to_regnamespace('public'))) AS n (oid)
       LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $1`,
    [MIGRATIONS_TABLE],
  );
  return rows[0]!;
}
