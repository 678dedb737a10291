import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the audit log a transparency log. `audit_event` is partitioned by the month of its key, a UUIDv7; the events
 * from before are in its first partition. `audit_leaf` holds the order of the log, `audit_node` the stored hashes of
 * the levels above it (8, 16, …), and each row of `audit_checkpoint` the size of the log at a time, with its root and
 * the signed note.
 *
 * `user_handle.audit_uid` is the pseudonym of the user in the log. It is random, and erasing the user deletes it.
 */
export class TransparencyLog1764200000000 implements MigrationInterface {
  name = 'TransparencyLog1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE user_handle ADD COLUMN audit_uid uuid NOT NULL DEFAULT gen_random_uuid();
      CREATE UNIQUE INDEX user_handle_audit_uid ON user_handle (audit_uid);
      CREATE INDEX user_handle_user ON user_handle (user_id);

      ALTER TABLE audit_event RENAME TO audit_event_initial;
      ALTER INDEX audit_event_pkey RENAME TO audit_event_initial_pkey;
      ALTER INDEX audit_event_type RENAME TO audit_event_initial_type;
      ALTER INDEX audit_event_outcome RENAME TO audit_event_initial_outcome;
      ALTER INDEX audit_event_issued RENAME TO audit_event_initial_issued;
      ALTER INDEX audit_event_refused RENAME TO audit_event_initial_refused;
      ALTER INDEX audit_event_actor RENAME TO audit_event_initial_actor;
      ALTER INDEX audit_event_user RENAME TO audit_event_initial_user;
      ALTER INDEX audit_event_credential_uid RENAME TO audit_event_initial_credential_uid;
      ALTER INDEX audit_event_credential_id RENAME TO audit_event_initial_credential_id;

      CREATE TABLE audit_event (LIKE audit_event_initial INCLUDING DEFAULTS) PARTITION BY RANGE (id);
      ALTER TABLE audit_event ADD PRIMARY KEY (id);
      CREATE INDEX audit_event_tx ON audit_event (tx, id);
      CREATE INDEX audit_event_type ON audit_event (type, id);
      CREATE INDEX audit_event_outcome ON audit_event (id) WHERE outcome = 'failure';
      CREATE INDEX audit_event_issued ON audit_event (rp_id, user_id, id)
        WHERE user_id IS NOT NULL AND type = 'challenge.issue' AND outcome = 'success';
      CREATE INDEX audit_event_refused ON audit_event (rp_id, user_id, type, id)
        WHERE user_id IS NOT NULL AND outcome = 'failure';
      CREATE INDEX audit_event_actor ON audit_event (actor, id);
      CREATE INDEX audit_event_user ON audit_event (user_id, id) WHERE user_id IS NOT NULL;
      CREATE INDEX audit_event_credential_uid ON audit_event (credential_uid, id) WHERE credential_uid IS NOT NULL;
      CREATE INDEX audit_event_credential_id ON audit_event (credential_id, id) WHERE credential_id IS NOT NULL;

      CREATE FUNCTION audit_first_id(month date) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
        SET search_path = pg_catalog, public, pg_temp AS $$
          SELECT rpad(lpad(to_hex((extract(epoch FROM month::timestamp) * 1000)::bigint), 12, '0'), 32, '0')::uuid
        $$;

      CREATE FUNCTION audit_make_partitions(from_month date, months integer) RETURNS integer
        LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
          month date;
          partition text;
          made integer := 0;
        BEGIN
          IF months NOT BETWEEN 1 AND 24 OR from_month NOT BETWEEN DATE '2020-01-01' AND DATE '2200-01-01' THEN
            RAISE EXCEPTION 'partitions are made for 1 to 24 months at a time';
          END IF;
          PERFORM pg_advisory_xact_lock(hashtextextended('passkey-manager partitions', 0));
          FOR n IN 0 .. months - 1 LOOP
            month := (date_trunc('month', from_month) + make_interval(months => n))::date;
            partition := 'audit_event_' || to_char(month, 'YYYY_MM');
            CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL
              OR EXISTS (SELECT FROM audit_partitions() WHERE lower_id <= audit_first_id(month)
                           AND upper_id > audit_first_id(month));
            EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_event INCLUDING ALL)', partition);
            EXECUTE format('ALTER TABLE public.audit_event ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
              partition, audit_first_id(month), audit_first_id((month + interval '1 month')::date));
            made := made + 1;
          END LOOP;
          RETURN made;
        END $$;

      CREATE FUNCTION audit_partitions() RETURNS TABLE (name text, lower_id uuid, upper_id uuid) LANGUAGE sql STABLE
        SET search_path = pg_catalog, public, pg_temp AS $$
          SELECT partition.relname::text, coalesce(bounds[1], '00000000-0000-0000-0000-000000000000')::uuid, bounds[2]::uuid
            FROM pg_inherits
            JOIN pg_class partition ON partition.oid = inhrelid
            CROSS JOIN regexp_match(pg_get_expr(partition.relpartbound, partition.oid),
              'FROM \\((?:MINVALUE|''([0-9a-f-]+)'')\\) TO \\(''([0-9a-f-]+)''\\)') AS bounds
           WHERE inhparent = 'public.audit_event'::regclass AND bounds IS NOT NULL
        $$;

      CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;

      DO $$
      DECLARE
        last_event uuid := coalesce((SELECT max(id::text)::uuid FROM audit_event_initial),
                                    '00000000-0000-0000-0000-000000000000');
        last_month date := greatest(date_trunc('month', now())::date,
          date_trunc('month', to_timestamp(('x' || lpad(left(replace(last_event::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0))::date);
      BEGIN
        EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION audit_event_initial FOR VALUES FROM (MINVALUE) TO (%L)',
          audit_first_id((last_month + interval '1 month')::date));
        PERFORM audit_make_partitions((last_month + interval '1 month')::date, 3);
      END $$;

      CREATE TABLE audit_leaf (
        leaf_index bigint PRIMARY KEY,
        event_id uuid NOT NULL,
        leaf_hash bytea NOT NULL
      );
      CREATE UNIQUE INDEX audit_leaf_event ON audit_leaf (event_id);

      CREATE TABLE audit_node (
        level smallint NOT NULL,
        index bigint NOT NULL,
        hash bytea NOT NULL,
        PRIMARY KEY (level, index)
      );

      CREATE TABLE audit_checkpoint (
        size bigint PRIMARY KEY,
        root bytea NOT NULL,
        frontier bytea NOT NULL,
        last_tx numeric(20, 0) NOT NULL,
        last_id uuid NOT NULL,
        note text NOT NULL,
        created_at timestamptz(3) NOT NULL
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE audit_checkpoint, audit_node, audit_leaf;
      CREATE TABLE audit_event_all (LIKE audit_event INCLUDING DEFAULTS);
      INSERT INTO audit_event_all SELECT * FROM audit_event;
      DROP TABLE audit_event;
      DROP FUNCTION audit_make_partitions, audit_partitions, audit_first_id;
      ALTER TABLE audit_event_all RENAME TO audit_event;
      ALTER TABLE audit_event ADD PRIMARY KEY (id);
      CREATE INDEX audit_event_type ON audit_event (type, id);
      CREATE INDEX audit_event_outcome ON audit_event (id) WHERE outcome = 'failure';
      CREATE INDEX audit_event_issued ON audit_event (rp_id, user_id, id)
        WHERE user_id IS NOT NULL AND type = 'challenge.issue' AND outcome = 'success';
      CREATE INDEX audit_event_refused ON audit_event (rp_id, user_id, type, id)
        WHERE user_id IS NOT NULL AND outcome = 'failure';
      CREATE INDEX audit_event_actor ON audit_event (actor, id);
      CREATE INDEX audit_event_user ON audit_event (user_id, id) WHERE user_id IS NOT NULL;
      CREATE INDEX audit_event_credential_uid ON audit_event (credential_uid, id) WHERE credential_uid IS NOT NULL;
      CREATE INDEX audit_event_credential_id ON audit_event (credential_id, id) WHERE credential_id IS NOT NULL;
      DROP INDEX user_handle_user;
      ALTER TABLE user_handle DROP COLUMN audit_uid;
    `);
  }
}
