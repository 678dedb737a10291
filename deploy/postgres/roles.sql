-- Makes the roles of the service's database. An administrator runs this on that database before the first migration, and may
-- repeat it. It sets no passwords. grants.sql grants the roles their privileges on the tables.
--
--   passkey_migrator  owns the schema; only migrations and grants.sql use it
--   passkey_manager   runs the service
--   passkey_auditor   reads the audit log in the database: an auditor's own SQL, or a SIEM
--   passkey_sequencer writes the transparency log, if the service has a login of its own for that (sequencer.sql)
BEGIN;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['passkey_migrator', 'passkey_manager', 'passkey_auditor', 'passkey_sequencer'] LOOP
    IF to_regrole(name) IS NULL THEN
      EXECUTE format('CREATE ROLE %I', name);
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN NOCREATEDB NOCREATEROLE', name);
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = name AND (rolsuper OR rolreplication OR rolbypassrls))
       OR EXISTS (SELECT FROM pg_auth_members WHERE member = to_regrole(name)) THEN
      RAISE EXCEPTION '% has SUPERUSER, REPLICATION, BYPASSRLS or is a member of another role: take that from it', name;
    END IF;
  END LOOP;
  -- Only the role itself, its members and superusers can set its default privileges.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    GRANT passkey_migrator TO CURRENT_USER;
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, passkey_manager, passkey_auditor, passkey_sequencer', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO passkey_migrator, passkey_manager, passkey_auditor, passkey_sequencer', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC, passkey_manager, passkey_auditor, passkey_sequencer;
GRANT USAGE, CREATE ON SCHEMA public TO passkey_migrator;
GRANT USAGE ON SCHEMA public TO passkey_manager, passkey_auditor, passkey_sequencer;

-- A session that holds an advisory lock holds up every session that asks for it, such as a migration. In a new database every
-- role may take one; only a superuser can change that.
DO $$
DECLARE
  routine regprocedure;
BEGIN
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_(try_)?advisory_(xact_)?lock' LOOP
      EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, passkey_auditor, passkey_sequencer', routine);
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO passkey_migrator, passkey_manager', routine);
    END LOOP;
  END IF;
END $$;

-- Objects that a migration makes stay closed until grants.sql opens them. By default PUBLIC could execute functions.
ALTER DEFAULT PRIVILEGES FOR ROLE passkey_migrator REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE passkey_migrator IN SCHEMA public
  REVOKE ALL ON TABLES FROM PUBLIC, passkey_manager, passkey_auditor, passkey_sequencer;

-- The service's pools ask for the same settings. A pooler in between drops what they ask for, and keeps these. Without a sequential
-- scan a statement that was prepared while its table was empty uses the index of the table.
ALTER ROLE passkey_manager SET statement_timeout = '5s';
ALTER ROLE passkey_manager SET lock_timeout = '2s';
ALTER ROLE passkey_manager SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE passkey_manager SET enable_seqscan = off;
ALTER ROLE passkey_manager SET jit = off;
ALTER ROLE passkey_manager SET plan_cache_mode = force_generic_plan;
ALTER ROLE passkey_sequencer SET enable_seqscan = off;
ALTER ROLE passkey_sequencer SET jit = off;
ALTER ROLE passkey_sequencer SET statement_timeout = '5s';
ALTER ROLE passkey_sequencer SET lock_timeout = '2s';
ALTER ROLE passkey_sequencer SET idle_in_transaction_session_timeout = '10s';

-- An auditor's query must not keep vacuum from the hot tables, and its tool must not take the service's connections.
ALTER ROLE passkey_auditor CONNECTION LIMIT 4;
ALTER ROLE passkey_auditor SET default_transaction_read_only = on;
ALTER ROLE passkey_auditor SET statement_timeout = '60s';
ALTER ROLE passkey_auditor SET idle_in_transaction_session_timeout = '60s';

COMMIT;
