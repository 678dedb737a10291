import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RoleSessions } from '../../test/support/role-sessions.js';
import { SESSION_PARAMETERS } from './data-source.js';

let roles: RoleSessions;
beforeAll(async () => {
  roles = await RoleSessions.open();
});
afterAll(() => roles.close());

describe('every role', () => {
  it('is an ordinary one and not a member of another', async () => {
    const ordinary = await roles.names(
      `SELECT rolname AS name FROM pg_roles
        WHERE rolname IN ('passkey_migrator', 'passkey_manager', 'passkey_auditor', 'passkey_sequencer')
          AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
          AND NOT EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)`,
    );
    expect(ordinary).toHaveLength(4);
  });
});

describe('the service’s role', () => {
  it.each([
    ['change one record', "UPDATE audit_event SET outcome = 'success'"],
    ['change one column of it', "UPDATE audit_event SET leaf_hash = ''"],
    ['remove records', 'DELETE FROM audit_event'],
    ['change what waits for its place', `UPDATE audit_pending SET leaf_hash = sha256('')`],
    ['empty what waits for its place', 'TRUNCATE audit_pending'],
    [
      'say that the owner wrote an event',
      `INSERT INTO audit_pending (event_id, leaf_hash, by_owner) VALUES (gen_random_uuid(), sha256(''), TRUE)`,
    ],
    ['put a leaf before the first one', `INSERT INTO audit_leaf VALUES (-1, gen_random_uuid(), sha256(''))`],
    ['make a challenge unspent', 'DELETE FROM spent_challenge'],
    ['make all challenges unspent', 'TRUNCATE spent_challenge'],
    ['allow a dropped period again', 'UPDATE spent_challenge_horizon SET period = 0'],
    ['empty the log', 'TRUNCATE audit_event'],
    ['lock the log for itself', 'LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE'],
    [
      'replace a record by inserting it',
      "INSERT INTO audit_event (id, event, leaf_hash, type, outcome) VALUES (gen_random_uuid(), '', '', '', '') ON CONFLICT (id) DO UPDATE SET event = ''",
    ],
    ['drop the log', 'DROP TABLE audit_event'],
    ['rename it', 'ALTER TABLE audit_event RENAME TO audit_event_old'],
    ['add a column', 'ALTER TABLE audit_event ADD COLUMN extra text'],
    ['take it over', 'ALTER TABLE audit_event OWNER TO CURRENT_USER'],
    ['turn its triggers off', 'ALTER TABLE audit_event DISABLE TRIGGER ALL'],
    ['turn all triggers off', 'SET LOCAL session_replication_role = replica'],
    [
      'add a trigger',
      'CREATE TRIGGER t BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    ],
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
    [
      'end the sessions of others',
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usesysid <> current_user::regrole',
    ],
    ['change its database', `ALTER DATABASE current SET search_path = x`],
  ])('cannot %s', async (_, sql) => {
    const here = new URL(roles.database.url).pathname.slice(1);
    const outcome = await roles.attempt('service', sql.replace('DATABASE current', `DATABASE ${here}`));
    expect(outcome).toBe(sql.includes('(-1,') ? '23514' : '42501');
  });

  it('locks a challenge against other replicas, and changes only its key', async () => {
    expect(await roles.attempt('service', 'SELECT * FROM challenge FOR UPDATE SKIP LOCKED')).toBe('done');
    const updatable: string[] = [];
    for (const column of await roles.columnsOf('challenge')) {
      if ((await roles.attempt('service', `UPDATE challenge SET ${column} = DEFAULT WHERE false`)) === 'done') {
        updatable.push(column);
      }
    }
    expect(updatable).toEqual(['id']);
  });

  it('gives up and plans like the service’s pool, also when a pooler drops what the pool asks for', async () => {
    for (const [name, value] of Object.entries({ ...SESSION_PARAMETERS, plan_cache_mode: 'force_generic_plan' })) {
      const [row] = await roles.query('service', `SELECT setting FROM pg_settings WHERE name = '${name}'`);
      expect([name, row]).toEqual([name, { setting: value }]);
    }
  });
});

describe('the auditor’s role', () => {
  it('has read-only transactions, which end', async () => {
    const rows = await roles.query(
      'auditor',
      `SELECT current_setting('default_transaction_read_only') AS read_only, current_setting('statement_timeout') AS timeout`,
    );
    expect(rows).toEqual([{ read_only: 'on', timeout: '1min' }]);
  });

  it.each([
    ['see passkeys', 'SELECT credential_id FROM credential'],
    ['see challenges', 'SELECT challenge FROM challenge'],
    ['lock a record', 'SELECT * FROM audit_event FOR SHARE'],
    ['take the turn at putting the log in order', 'SELECT * FROM audit_turn FOR UPDATE'],
    ['see what waits for its place', 'SELECT * FROM audit_pending'],
    ['make partitions', `SELECT audit_make_partitions('2030-01-01', 1)`],
    ['empty the default partition', `SELECT audit_empty_default('2030-01-01')`],
    ['see which challenges are spent', 'SELECT * FROM spent_challenge'],
    ['make periods of spent challenges', 'SELECT spent_challenge_make_periods(now())'],
    ['drop periods of spent challenges', 'SELECT spent_challenge_drop_periods(now())'],
    ['make a table', 'CREATE TABLE t ()'],
    ['make a temporary table', 'CREATE TEMPORARY TABLE t ()'],
    ['become the service', 'SET LOCAL ROLE passkey_manager'],
    ['run a program', "COPY audit_event TO PROGRAM 'true'"],
  ])('cannot %s', async (_, sql) => {
    expect(await roles.attempt('auditor', sql)).toBe('42501');
  });

  it.each([
    'advisory_lock',
    'advisory_lock_shared',
    'try_advisory_lock',
    'advisory_xact_lock',
    'try_advisory_xact_lock',
  ])('takes no lock that orders turns, where a superuser ran roles.sql: pg_%s', async (name) => {
    const [ran] = await roles.query<{ superuser: boolean }>(
      'owner',
      'SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user',
    );
    expect(await roles.attempt('auditor', `SELECT pg_${name}(1)`)).toBe(ran?.superuser ? '42501' : 'done');
    // A session-level lock outlives the transaction.
    expect(await roles.attempt('service', `SELECT pg_${name}(2), pg_advisory_unlock_all()`)).toBe('done');
    expect(await roles.attempt('migrator', `SELECT pg_${name}(2), pg_advisory_unlock_all()`)).toBe('done');
    await roles.query('auditor', 'SELECT pg_advisory_unlock_all()');
  });
});
