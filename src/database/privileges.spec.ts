import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RoleSessions } from '../../test/support/role-sessions.js';
import { readTestRoles } from '../../test/support/test-roles.js';
import { runRoleScript } from './role-scripts.js';
import { SERVICE_PRIVILEGES } from './service-privileges.js';

const ALL = 'SELECT INSERT UPDATE DELETE TRUNCATE';

/** Every table of the schema, and the privileges of each role on it. */
const PRIVILEGES: Record<string, { service: string; auditor: string; migrator: string }> = {
  relying_party: { service: 'SELECT INSERT', auditor: '', migrator: ALL },
  key_check_value: { service: 'SELECT INSERT', auditor: '', migrator: ALL },
  user_handle: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  approval: { service: 'SELECT INSERT DELETE', auditor: '', migrator: ALL },
  signal_stream: { service: 'SELECT INSERT DELETE', auditor: '', migrator: ALL },
  signal_excluded_subject: { service: 'SELECT INSERT DELETE', auditor: '', migrator: ALL },
  signal: { service: 'SELECT INSERT DELETE', auditor: '', migrator: ALL },
  signal_model: { service: 'SELECT INSERT', auditor: '', migrator: ALL },
  challenge: { service: 'SELECT INSERT DELETE', auditor: '', migrator: ALL },
  spent_challenge: { service: 'SELECT INSERT', auditor: '', migrator: ALL },
  spent_challenge_horizon: { service: '', auditor: '', migrator: ALL },
  credential: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  audit_event: { service: 'SELECT INSERT', auditor: 'SELECT', migrator: ALL },
  audit_leaf: { service: 'SELECT INSERT', auditor: 'SELECT', migrator: ALL },
  audit_node: { service: 'SELECT INSERT', auditor: 'SELECT', migrator: ALL },
  audit_checkpoint: { service: 'SELECT INSERT', auditor: 'SELECT', migrator: ALL },
  audit_pending: { service: 'SELECT DELETE', auditor: '', migrator: ALL },
  audit_turn: { service: 'SELECT UPDATE', auditor: '', migrator: ALL },
  seal_key: { service: 'SELECT', auditor: '', migrator: ALL },
  seal_phase: { service: 'SELECT INSERT', auditor: '', migrator: ALL },
  reconciliation: { service: 'SELECT', auditor: '', migrator: ALL },
  succession: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  statistic_ceremony: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  statistic_credential: { service: 'SELECT INSERT UPDATE DELETE', auditor: '', migrator: ALL },
  statistic_log: { service: 'SELECT UPDATE', auditor: '', migrator: ALL },
  statistic_walk: { service: 'SELECT UPDATE', auditor: '', migrator: ALL },
  audit_archive: { service: 'SELECT', auditor: 'SELECT', migrator: ALL },
  schema_migration: { service: 'SELECT', auditor: '', migrator: ALL },
};

/** The functions and procedures that others than their owner may call. */
const ROUTINES = [
  'audit_empty_default(date)',
  'audit_make_partitions(date,integer)',
  'count_credentials(text,text)',
  'spent_challenge_drop_periods(timestamp with time zone)',
  'spent_challenge_make_periods(timestamp with time zone)',
];

const ROLES = ['service', 'auditor', 'migrator'] as const;
const { named } = readTestRoles();

let roles: RoleSessions;
beforeAll(async () => {
  roles = await RoleSessions.open();
  // Grants everything, because the scripts must take back what anyone granted. They run a second time here.
  await roles.query(
    'owner',
    `GRANT ALL ON DATABASE ${new URL(roles.database.url).pathname.slice(1)} TO PUBLIC, passkey_manager, passkey_auditor;
     GRANT ALL ON SCHEMA public TO PUBLIC, passkey_manager, passkey_auditor;
     GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC, passkey_manager, passkey_auditor;
     GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC, passkey_manager, passkey_auditor;
     GRANT UPDATE (leaf_hash) ON audit_event TO passkey_manager;
     ALTER DEFAULT PRIVILEGES FOR ROLE passkey_migrator IN SCHEMA public GRANT ALL ON TABLES TO passkey_manager`,
  );
  await runRoleScript('roles.sql', roles.database.ownerUrl, named);
  await runRoleScript('grants.sql', roles.database.migratorUrl, named);
});
afterAll(() => roles.close());

/** Statements on the whole table that each need the privilege of their name and no other. */
const listStatements = async (table: string): Promise<[string, string][]> => [
  ['SELECT', `SELECT * FROM ${table} LIMIT 0`],
  ['INSERT', `INSERT INTO ${table} SELECT (NULL::${table}).* WHERE false`],
  [
    'UPDATE',
    `UPDATE ${table} SET ${(await roles.columnsOf(table)).map((column) => `${column} = DEFAULT`).join()} WHERE false`,
  ],
  ['DELETE', `DELETE FROM ${table} WHERE false`],
  ['TRUNCATE', `TRUNCATE ${table}`],
];

describe('the tables', () => {
  it('are all in this test, so that a migration that adds one decides who may use it', async () => {
    const tables = await roles.names(
      `SELECT relname AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition`,
    );
    expect(tables.sort()).toEqual(Object.keys(PRIVILEGES).sort());
  });

  it.each(Object.entries(PRIVILEGES).flatMap(([table, may]) => ROLES.map((role) => [role, table, may[role]] as const)))(
    'give the right privileges: %s, %s: %s',
    async (role, table, privileges) => {
      const may: string[] = [];
      for (const [privilege, sql] of await listStatements(table)) {
        const outcome = await roles.attempt(role, sql);
        expect([sql, outcome]).toEqual([sql, expect.stringMatching(/^(done|42501)$/)]);
        if (outcome === 'done') may.push(privilege);
      }
      expect(may.join(' ')).toBe(privileges);
    },
  );

  it('give the service what a start demands, and the writer of the log the rest', async () => {
    const held = await roles.query<{ table: string; privileges: string }>(
      'owner',
      `SELECT relname AS table, string_agg(privilege, ' ' ORDER BY n) AS privileges
         FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) WITH ORDINALITY AS known (privilege, n)
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND CASE privilege WHEN 'DELETE' THEN has_table_privilege('passkey_manager', c.oid, 'DELETE')
                             ELSE has_any_column_privilege('passkey_manager', c.oid, privilege) END
        GROUP BY relname`,
    );
    const ofWriter: Record<string, string> = {
      audit_leaf: 'SELECT INSERT',
      audit_node: 'SELECT INSERT',
      audit_checkpoint: 'SELECT INSERT',
      audit_pending: 'SELECT INSERT DELETE',
      audit_turn: 'SELECT UPDATE',
    };
    expect(Object.fromEntries(held.map(({ table, privileges }) => [table, privileges]))).toEqual({
      ...SERVICE_PRIVILEGES,
      ...ofWriter,
    });
  });

  it('belong to the migrator, like everything else in the schema', async () => {
    const owners = await roles.names(`SELECT DISTINCT relowner::regrole::text AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace`);
    expect(owners).toEqual([named('passkey_migrator')]);
  });

  it('are closed to all other roles until they are named', async () => {
    await roles.query(
      'migrator',
      `
      CREATE TABLE unnamed (id bigserial, at date) PARTITION BY RANGE (at);
      CREATE TABLE unnamed_2026 PARTITION OF unnamed FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`,
    );
    for (const table of ['unnamed', 'unnamed_2026']) {
      for (const [, sql] of await listStatements(table)) {
        for (const role of ['service', 'auditor'] as const)
          expect([sql, await roles.attempt(role, sql)]).toEqual([sql, '42501']);
      }
    }
    await roles.query('migrator', 'GRANT SELECT, INSERT ON unnamed TO passkey_manager');
    expect(await roles.attempt('service', "INSERT INTO unnamed VALUES (1, '2026-05-05')")).toBe('done');
    expect(await roles.attempt('service', "INSERT INTO unnamed_2026 VALUES (1, '2026-05-05')")).toBe('42501');
    await roles.query('migrator', 'DROP TABLE unnamed');
  });

  it('give nothing to PUBLIC, nor does anything around them', async () => {
    const open = await roles.names(`
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

describe('sequencer.sql', () => {
  /** The tables on which the privileges change: those of the service, and of the writer of the log. */
  const CHANGED: Record<string, { service: string; sequencer: string }> = {
    audit_event: { service: 'SELECT INSERT', sequencer: 'SELECT INSERT' },
    audit_leaf: { service: 'SELECT', sequencer: 'SELECT INSERT' },
    audit_node: { service: 'SELECT', sequencer: 'SELECT INSERT' },
    audit_checkpoint: { service: 'SELECT', sequencer: 'SELECT INSERT' },
    audit_pending: { service: 'SELECT', sequencer: 'SELECT DELETE' },
    audit_turn: { service: 'SELECT', sequencer: 'SELECT UPDATE' },
  };
  let apart: RoleSessions;
  beforeAll(async () => {
    apart = await RoleSessions.open();
    for (let run = 0; run < 2; run += 1) {
      await runRoleScript('grants.sql', apart.database.migratorUrl, named);
      await runRoleScript('sequencer.sql', apart.database.migratorUrl, named);
    }
  });
  afterAll(() => apart.close());

  it.each(Object.keys(PRIVILEGES))('gives the writer of the log what the service loses: %s', async (table) => {
    const may = { service: [] as string[], sequencer: [] as string[] };
    for (const [privilege, sql] of await listStatements(table)) {
      for (const role of ['service', 'sequencer'] as const)
        if ((await apart.attempt(role, sql)) === 'done') may[role].push(privilege);
    }
    const expected = CHANGED[table] ?? { service: PRIVILEGES[table]!.service, sequencer: '' };
    expect({ service: may.service.join(' '), sequencer: may.sequencer.join(' ') }).toEqual(expected);
  });

  it('lets both record events, and neither in the name of the owner', async () => {
    const columns = { done: 'event_id, leaf_hash, mac', '42501': 'event_id, leaf_hash, by_owner' };
    for (const [outcome, list] of Object.entries(columns)) {
      const sql = `INSERT INTO audit_pending (${list}) SELECT gen_random_uuid(), sha256(''), NULL`;
      for (const role of ['service', 'sequencer'] as const) expect(await apart.attempt(role, sql)).toBe(outcome);
    }
  });

  it('is not run without it: the writer of the log then may do nothing', async () => {
    for (const table of Object.keys(PRIVILEGES))
      for (const [, sql] of await listStatements(table))
        expect([sql, await roles.attempt('sequencer', sql)]).toEqual([sql, '42501']);
  });
});

describe('functions', () => {
  it('can be called only by their owner, unless they are named', async () => {
    const callable = await roles.names(`
      SELECT p.oid::regprocedure::text AS name
        FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS granted
       WHERE pronamespace = 'public'::regnamespace AND grantee <> proowner`);
    expect(callable.sort()).toEqual(ROUTINES);
  });

  it('are created closed', async () => {
    await roles.query('migrator', "CREATE FUNCTION unnamed() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'");
    expect(await roles.attempt('service', 'SELECT unnamed()')).toBe('42501');
    await roles.query('migrator', 'DROP FUNCTION unnamed()');
  });
});

describe('roles.sql', () => {
  it('refuses a role that is a member of another', async () => {
    const joinRoles = (sql: string): string => named(`GRANT passkey_migrator TO passkey_auditor; ${sql}`);
    await expect(runRoleScript('roles.sql', roles.database.ownerUrl, joinRoles)).rejects.toThrow(
      named('passkey_auditor has SUPERUSER, REPLICATION, BYPASSRLS or is a member of another role'),
    );
  });
});
