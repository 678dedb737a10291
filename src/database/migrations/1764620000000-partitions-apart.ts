import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the months of the log without long waits: it waits at most 50 ms for each lock, and replicas take turns by a
 * lock that only the owner of the table may take. PostgreSQL reads the whole default partition before it accepts a new
 * one, and locks everyone out meanwhile. So a month is refused as long as the default partition is large.
 *
 * `audit_empty_default` moves the events in the default partition to months of their own, one bounded step per call:
 *
 * 1. It makes `audit_event_moving` beside the log, with the months that are missing, and a trigger that also writes new
 *    events of the default partition there.
 * 2. It copies the older events, in the order of their ids. Events never change, so a copy stays true, and readers find
 *    the events in the default partition until the end.
 * 3. It locks everyone out for a moment and puts the copies in the place of the default partition.
 */
export class PartitionsApart1764620000000 implements MigrationInterface {
  name = 'PartitionsApart1764620000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(MAKE_PARTITIONS);
    await runner.query(MISSING_MONTHS);
    await runner.query(MOVE_TOO);
    await runner.query(EMPTY_DEFAULT);
  }

  /** Keeps the new audit_make_partitions: it has the signature of the previous one and the same result. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION audit_empty_default, audit_missing_months;
      DROP FUNCTION audit_move_too CASCADE;
      DROP TABLE IF EXISTS audit_event_moving, audit_event_moved;
    `);
  }
}

const AS_OWNER = `LANGUAGE plpgsql STRICT SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms'`;

const MAKE_PARTITIONS = `
  CREATE OR REPLACE FUNCTION audit_make_partitions(from_month date, months integer) RETURNS integer ${AS_OWNER} AS $$
    DECLARE
      month date;
      partition text;
      lower_id uuid;
      upper_id uuid;
      made integer := 0;
    BEGIN
      IF months NOT BETWEEN 1 AND 24 OR from_month NOT BETWEEN DATE '2020-01-01' AND DATE '2200-01-01' THEN
        RAISE EXCEPTION 'partitions are made for 1 to 24 months at a time';
      END IF;
      FOR n IN 0 .. months - 1 LOOP
        month := (date_trunc('month', from_month) + make_interval(months => n))::date;
        partition := 'audit_event_' || to_char(month, 'YYYY_MM');
        lower_id := audit_first_id(month);
        upper_id := audit_first_id((month + interval '1 month')::date);
        CONTINUE WHEN EXISTS (SELECT FROM audit_partitions() p WHERE p.lower_id <= audit_first_id(month)
                                AND p.upper_id > audit_first_id(month));
        LOCK TABLE public.audit_event IN SHARE UPDATE EXCLUSIVE MODE;
        CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
        IF EXISTS (SELECT FROM public.audit_event_default WHERE id >= lower_id AND id < upper_id) THEN
          RAISE EXCEPTION 'audit_event_default has events of %', to_char(month, 'YYYY-MM') USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (SELECT FROM public.audit_event_default OFFSET 100000) THEN
          RAISE EXCEPTION 'audit_event_default has more than 100000 events' USING ERRCODE = 'check_violation';
        END IF;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_event INCLUDING ALL)', partition);
        EXECUTE format('ALTER TABLE public.audit_event ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
          partition, lower_id, upper_id);
        made := made + 1;
      END LOOP;
      RETURN made;
    END $$`;

/**
 * SQL: lists the months up to a given one whose events are in the default partition, and that have no partition and are
 * not archived.
 */
const MISSING_MONTHS = `
  CREATE FUNCTION audit_missing_months(until_month date) RETURNS SETOF date
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
      next_id uuid := '00000000-0000-0000-0000-000000000000';
      end_id uuid := audit_first_id((date_trunc('month', until_month) + interval '1 month')::date);
      following uuid;
      month date;
    BEGIN
      FOR n IN 1 .. 1000 LOOP
        SELECT id INTO next_id FROM public.audit_event_default WHERE id >= next_id AND id < end_id ORDER BY id LIMIT 1;
        EXIT WHEN NOT FOUND;
        month := date_trunc('month', to_timestamp(
          ('x' || lpad(left(replace(next_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0) AT TIME ZONE 'UTC');
        following := audit_first_id((month + interval '1 month')::date);
        IF NOT EXISTS (SELECT FROM audit_partitions() p WHERE p.lower_id < following AND p.upper_id > audit_first_id(month))
           AND NOT EXISTS (SELECT FROM public.audit_archive a WHERE a.lower_id < following AND a.upper_id > audit_first_id(month)) THEN
          RETURN NEXT month;
        END IF;
        next_id := following;
      END LOOP;
    END $$`;

const MOVE_TOO = `
  CREATE FUNCTION audit_move_too() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
      INSERT INTO public.audit_event_moving SELECT NEW.* ON CONFLICT (id) DO NOTHING;
      RETURN NULL;
    END $$`;

/** SQL: does one step, and returns true while there is more to do. */
const EMPTY_DEFAULT = `
  CREATE FUNCTION audit_empty_default(until_month date) RETURNS boolean ${AS_OWNER} AS $$
    DECLARE
      rows CONSTANT integer := 2000;
      months date[];
      month date;
      moved uuid;
      copied_to uuid;
      copied integer;
      part record;
    BEGIN
      IF to_regclass('public.audit_event_moving') IS NULL THEN
        months := ARRAY(SELECT audit_missing_months(until_month) LIMIT 24);
        IF months = '{}' THEN RETURN false; END IF;
        LOCK TABLE public.audit_event IN SHARE UPDATE EXCLUSIVE MODE;
        IF to_regclass('public.audit_event_moving') IS NOT NULL THEN RETURN true; END IF;
        CREATE TABLE public.audit_event_moving (LIKE public.audit_event INCLUDING ALL) PARTITION BY RANGE (id);
        CREATE TABLE public.audit_event_rest PARTITION OF public.audit_event_moving DEFAULT;
        FOREACH month IN ARRAY months LOOP
          EXECUTE format('CREATE TABLE public.%1$I PARTITION OF public.audit_event_moving
            (CONSTRAINT %1$I CHECK (id >= %2$L AND id < %3$L)) FOR VALUES FROM (%2$L) TO (%3$L)',
            'audit_event_' || to_char(month, 'YYYY_MM'), audit_first_id(month),
            audit_first_id((month + interval '1 month')::date));
        END LOOP;
        CREATE TABLE public.audit_event_moved (last_id uuid NOT NULL);
        INSERT INTO public.audit_event_moved VALUES ('00000000-0000-0000-0000-000000000000');
        CREATE TRIGGER audit_move_too AFTER INSERT ON public.audit_event_default
          FOR EACH ROW EXECUTE FUNCTION audit_move_too();
        RETURN true;
      END IF;

      SELECT audit_event_moved.last_id INTO moved FROM public.audit_event_moved FOR UPDATE;
      WITH next AS MATERIALIZED (SELECT * FROM public.audit_event_default WHERE id > moved ORDER BY id LIMIT rows),
        copy AS (INSERT INTO public.audit_event_moving SELECT * FROM next ON CONFLICT (id) DO NOTHING)
      SELECT count(*), max(id::text COLLATE "C") INTO copied, copied_to FROM next;
      IF copied = rows THEN
        UPDATE public.audit_event_moved SET last_id = copied_to;
        RETURN true;
      END IF;

      LOCK TABLE public.audit_event IN ACCESS EXCLUSIVE MODE;
      ALTER TABLE public.audit_event DETACH PARTITION public.audit_event_default;
      DROP TABLE public.audit_event_default, public.audit_event_moved;
      FOR part IN SELECT inhrelid::regclass::text AS name, bounds FROM pg_inherits
          JOIN pg_class ON oid = inhrelid CROSS JOIN pg_get_expr(relpartbound, oid) AS bounds
          WHERE inhparent = 'public.audit_event_moving'::regclass LOOP
        EXECUTE format('ALTER TABLE public.audit_event_moving DETACH PARTITION public.%I', part.name);
        EXECUTE format('ALTER TABLE public.audit_event ATTACH PARTITION public.%I %s', part.name, part.bounds);
        IF part.bounds <> 'DEFAULT' THEN EXECUTE format('ALTER TABLE public.%1$I DROP CONSTRAINT %1$I', part.name); END IF;
      END LOOP;
      ALTER TABLE public.audit_event_rest RENAME TO audit_event_default;
      DROP TABLE public.audit_event_moving;
      RETURN false;
    END $$`;
