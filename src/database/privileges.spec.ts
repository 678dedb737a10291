import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { testRoles } from '../../test/support/test-roles.js';
import { dataSourceOptions } from './data-source.js';
import { runRoleScript } from './role-scripts.js';

const ALL = 'SELECT INSERT UPDATE DELETE TRUNCATE';

/** Every table of the schema, and who may do what with it. */
const PRIVILEGES: Record<string, { service: string; auditor: string; migrator: string }> = {
  relying_party: { service: 'SELECT INSERT UPDATE', auditor: '', migrator: ALL },
  user_handle: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  challenge: { service: 'SELECT INSERT DELETE', auditor: '', migrator: ALL },
  credential: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  audit_event: { service: 'SELECT INSERT', auditor: 'SELECT', migrator: ALL },
  schema_migration: { service: 'SELECT', auditor: '', migrator: ALL },
};

/** Functions and procedures that anybody but their owner may call. */
const ROUTINES: string[] = [];

type Role = 'service' | 'auditor' | 'migrator';
const ROLES: Role[] = ['service', 'auditor', 'migrator'];

let database: TestDatabase;
let owner: pg.Client;
let sessions: Record<Role, pg.Client>;
const { named } = testRoles();

async function connect(connectionString: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString });
  await session.connect();
  return session;
}

beforeAll(async () => {
  database = await createTestDatabase();
  owner = await connect(database.ownerUrl);
  // What somebody once opened is closed by the scripts, which are run a second time here.
  await owner.query(
    named(`
      ALTER ROLE passkey_manager CREATEROLE;
      GRANT ALL ON DATABASE ${new URL(database.url).pathname.slice(1)} TO PUBLIC, passkey_manager, passkey_auditor;
      GRANT ALL ON SCHEMA public TO PUBLIC, passkey_manager, passkey_auditor;
      GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC, passkey_manager, passkey_auditor;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC, passkey_manager, passkey_auditor;
      GRANT UPDATE (leaf_hash) ON audit_event TO passkey_manager;
      ALTER DEFAULT PRIVILEGES FOR ROLE passkey_migrator IN SCHEMA public GRANT ALL ON TABLES TO passkey_manager`),
  );
  await runRoleScript('roles.sql', database.ownerUrl, named);
  await runRoleScript('grants.sql', database.migratorUrl, named);
  const [service, auditor, migrator] = await Promise.all(
    [database.url, database.auditorUrl, database.migratorUrl].map(connect),
  );
  sessions = { service: service!, auditor: auditor!, migrator: migrator! };
});
afterAll(async () => {
  await Promise.all([owner, ...Object.values(sessions)].map((session) => session.end()));
  await database.drop();
});

/** @returns the SQLSTATE that it failed with, or `done`; it is rolled back */
async function attempt(role: Role, sql: string): Promise<string> {
  const session = sessions[role];
  await session.query('BEGIN READ WRITE');
  try {
    await session.query(sql);
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await session.query('ROLLBACK');
  }
}

async function namesOf(sql: string): Promise<string[]> {
  return (await owner.query<{ name: string }>(named(sql))).rows.map(({ name }) => name);
}

const columnsOf = (table: string): Promise<string[]> =>
  namesOf(`SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0`);

/** Statements that need the privilege of their name, on the whole table, and no other. */
const statements = async (table: string): Promise<[string, string][]> => [
  ['SELECT', `SELECT * FROM ${table} LIMIT 0`],
  ['INSERT', `INSERT INTO ${table} SELECT (NULL::${table}).* WHERE false`],
  [
    'UPDATE',
    `UPDATE ${table} SET ${(await columnsOf(table)).map((column) => `${column} = DEFAULT`).join()} WHERE false`,
  ],
  ['DELETE', `DELETE FROM ${table} WHERE false`],
  ['TRUNCATE', `TRUNCATE ${table}`],
];

describe('the tables', () => {
  it('are all here: a migration that adds one decides who may do what with it', async () => {
    const tables = await namesOf(
      `SELECT relname AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition`,
    );
    expect(tables.sort()).toEqual(Object.keys(PRIVILEGES).sort());
  });

  it.each(Object.entries(PRIVILEGES).flatMap(([table, roles]) => ROLES.map((role) => [role, table, roles[role]] as const)))(
    '%s, %s: %s',
    async (role, table, privileges) => {
      const may: string[] = [];
      for (const [privilege, sql] of await statements(table)) {
        const outcome = await attempt(role, sql);
        expect([sql, outcome]).toEqual([sql, expect.stringMatching(/^(done|42501)$/)]);
        if (outcome === 'done') may.push(privilege);
      }
      expect(may.join(' ')).toBe(privileges);
    },
  ); // prettier-ignore

  it('belong to the migrator, with all that is in the schema', async () => {
    const owners = await namesOf(`SELECT DISTINCT relowner::regrole::text AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace`);
    expect(owners).toEqual([named('passkey_migrator')]);
  });

  it('are closed to all others until they are named', async () => {
    await sessions.migrator.query(`
      CREATE TABLE unnamed (id bigserial, at date) PARTITION BY RANGE (at);
      CREATE TABLE unnamed_2026 PARTITION OF unnamed FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`);
    for (const table of ['unnamed', 'unnamed_2026']) {
      for (const [, sql] of await statements(table)) {
        for (const role of ['service', 'auditor'] as const) expect([sql, await attempt(role, sql)]).toEqual([sql, '42501']);
      }
    }
    await sessions.migrator.query(named('GRANT SELECT, INSERT ON unnamed TO passkey_manager'));
    expect(await attempt('service', "INSERT INTO unnamed VALUES (1, '2026-05-05')")).toBe('done');
    expect(await attempt('service', "INSERT INTO unnamed_2026 VALUES (1, '2026-05-05')")).toBe('42501');
    await sessions.migrator.query('DROP TABLE unnamed');
  }); // prettier-ignore

  it('give nothing to PUBLIC, nor does anything around them', async () => {
    const open = await namesOf(`
      SELECT name FROM (
        SELECT relname AS name, relacl AS acl FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT attname, attacl FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
          WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT nspname, nspacl FROM pg_namespace WHERE nspname = 'public'
        UNION ALL SELECT datname, datacl FROM pg_database WHERE datname = current_database()
      ) AS things, aclexplode(acl) WHERE grantee = 0`);
    expect(open).toEqual([]);
  });
});

describe('functions', () => {
  it('are called by nobody but their owner, unless they are named', async () => {
    const callable = await namesOf(`
      SELECT p.oid::regprocedure::text AS name
        FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS granted
       WHERE pronamespace = 'public'::regnamespace AND grantee <> proowner`);
    expect(callable.sort()).toEqual(ROUTINES);
  });

  it('are made that way', async () => {
    await sessions.migrator.query("CREATE FUNCTION unnamed() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'");
    expect(await attempt('service', 'SELECT unnamed()')).toBe('42501');
    await sessions.migrator.query('DROP FUNCTION unnamed()');
  });
});

describe('the service’s role', () => {
  it.each([
    ['change one record', "UPDATE audit_event SET outcome = 'success'"],
    ['change one column of it', "UPDATE audit_event SET leaf_hash = ''"],
    ['remove records', 'DELETE FROM audit_event'],
    ['empty the log', 'TRUNCATE audit_event'],
    ['lock the log for itself', 'LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE'],
    ['replace a record by inserting it', "INSERT INTO audit_event (id, event, leaf_hash, type, outcome) VALUES (gen_random_uuid(), '', '', '', '') ON CONFLICT (id) DO UPDATE SET event = ''"],
    ['drop the log', 'DROP TABLE audit_event'],
    ['rename it', 'ALTER TABLE audit_event RENAME TO audit_event_old'],
    ['add a column', 'ALTER TABLE audit_event ADD COLUMN extra text'],
    ['take it over', 'ALTER TABLE audit_event OWNER TO CURRENT_USER'],
    ['turn its triggers off', 'ALTER TABLE audit_event DISABLE TRIGGER ALL'],
    ['turn all triggers off', 'SET LOCAL session_replication_role = replica'],
    ['add a trigger', 'CREATE TRIGGER t BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'],
    ['add a rule', 'CREATE RULE r AS ON INSERT TO audit_event DO INSTEAD NOTHING'],
    ['add a policy', 'CREATE POLICY p ON audit_event USING (false)'],
    ['hide its rows', 'ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY'],
    ['add an index', 'CREATE INDEX ON credential (name)'],
    ['make a table', 'CREATE TABLE t ()'],
    ['make a table that hides another', 'CREATE TEMPORARY TABLE audit_event ()'],
    ['make a function', "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
    ['make a schema', 'CREATE SCHEMA s'],
    ['make an extension', 'CREATE EXTENSION pg_trgm'],
    ['say that a migration was run', "INSERT INTO schema_migration (timestamp, name) VALUES (1, 'x')"],
    ['use up a sequence', "SELECT nextval('schema_migration_id_seq')"],
    ['run a program', "COPY challenge FROM PROGRAM 'true'"],
    ['run a program with what it reads', "COPY challenge TO PROGRAM 'true'"],
    ['read a file into a table', "COPY challenge FROM '/etc/hostname'"],
    ['read a file', "SELECT pg_read_file('/etc/hostname')"],
    ['write a file', "COPY challenge TO '/tmp/challenge'"],
    ['become the migrator', 'SET LOCAL ROLE passkey_migrator'],
    ['become the auditor', 'SET LOCAL ROLE passkey_auditor'],
    ['become the migrator by name', 'SET LOCAL SESSION AUTHORIZATION passkey_migrator'],
    ['join the migrator', 'GRANT passkey_migrator TO CURRENT_USER'],
    ['make itself a superuser', 'ALTER ROLE CURRENT_USER SUPERUSER'],
    ['get around row security', 'ALTER ROLE CURRENT_USER BYPASSRLS'],
    ['make a role', 'CREATE ROLE r'],
    ['end the sessions of others', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usesysid <> current_user::regrole'],
    ['change its database', `ALTER DATABASE current SET search_path = x`],
  ])('cannot %s', async (_, sql) => {
    const here = new URL(database.url).pathname.slice(1);
    expect(await attempt('service', named(sql.replace('DATABASE current', `DATABASE ${here}`)))).toBe('42501');
  }); // prettier-ignore

  it('locks a challenge against other replicas, and changes nothing but its key', async () => {
    expect(await attempt('service', 'SELECT * FROM challenge FOR UPDATE SKIP LOCKED')).toBe('done');
    const updatable: string[] = [];
    for (const column of await columnsOf('challenge')) {
      if ((await attempt('service', `UPDATE challenge SET ${column} = DEFAULT WHERE false`)) === 'done') {
        updatable.push(column);
      }
    }
    expect(updatable).toEqual(['id']);
  });

  it('gives up as the service’s pool does, also without being asked', async () => {
    const { extra } = dataSourceOptions('') as { extra: Record<string, number> };
    for (const name of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) {
      const { rows } = await sessions.service.query<{ ms: number }>(
        `SELECT setting::int AS ms FROM pg_settings WHERE name = $1`,
        [name],
      );
      expect([name, rows[0]?.ms]).toEqual([name, extra[name]]);
    }
  });
});

describe('the auditor’s role', () => {
  it('has transactions that only read, and ends them', async () => {
    const { rows } = await sessions.auditor.query(
      `SELECT current_setting('default_transaction_read_only') AS read_only, current_setting('statement_timeout') AS timeout`,
    );
    expect(rows).toEqual([{ read_only: 'on', timeout: '1min' }]);
  });

  it.each([
    ['see passkeys', 'SELECT credential_id FROM credential'],
    ['see challenges', 'SELECT challenge FROM challenge'],
    ['lock a record', 'SELECT * FROM audit_event FOR SHARE'],
    ['make a table', 'CREATE TABLE t ()'],
    ['make a temporary table', 'CREATE TEMPORARY TABLE t ()'],
    ['become the service', 'SET LOCAL ROLE passkey_manager'],
    ['run a program', "COPY audit_event TO PROGRAM 'true'"],
  ])('cannot %s', async (_, sql) => {
    expect(await attempt('auditor', named(sql))).toBe('42501');
  });
});

describe('roles.sql', () => {
  it('refuses a role that is a member of another', async () => {
    await owner.query(named('GRANT passkey_migrator TO passkey_auditor'));
    const outcome = await runRoleScript('roles.sql', database.ownerUrl, named).catch((error: unknown) => String(error));
    await owner.query(named('REVOKE passkey_migrator FROM passkey_auditor'));
    expect(outcome).toContain(named('passkey_auditor has SUPERUSER, REPLICATION, BYPASSRLS or is a member'));
  });
});
