import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes `spent_challenge`, which holds the id of each challenge that has an outcome. The statement that records the
 * outcome inserts the id, a UUIDv7, so inserts go to the right edge of one index. Nobody updates or deletes a row.
 *
 * The table has a partition for each six hours, and no default partition. `spent_challenge_<n>` holds the ids of period
 * n, which is the time in milliseconds since 1970 divided by 21,600,000. An id of a period without a partition cannot be
 * inserted: the statement fails with SQLSTATE 23514, and records no outcome.
 *
 * - `spent_challenge_make_periods` makes the periods from the one before the given time to four days after it.
 * - `spent_challenge_drop_periods` drops a period when it ended 12 hours ago, both by the given time and by the clock of
 *   the database. All its challenges have expired long before. In the same transaction it raises
 *   `spent_challenge_horizon`, the first period that may still be made. So a dropped period is never made again, and its
 *   challenges can never be spent again, whatever the clock of a replica shows.
 *
 * They run with the rights of the owner, take turns by the row of the horizon, and wait at most 50 ms for each lock.
 * Writers do not wait while a period is made. They wait for a moment while periods are dropped. A caller in REPEATABLE
 * READ gets a serialization failure rather than an old horizon.
 *
 * The partitions live less than a day after their period and have no dead rows except those of aborted statements.
 * Vacuum would only freeze rows that are about to go, and no plan needs statistics, so autovacuum leaves them alone.
 *
 * Replicas of the previous version still use the table `challenge`. The next version drops it.
 */
export class SealedChallenges1764800000000 implements MigrationInterface {
  name = 'SealedChallenges1764800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE spent_challenge (id uuid PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE spent_challenge_horizon (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        period integer NOT NULL DEFAULT 0
      );
      INSERT INTO spent_challenge_horizon DEFAULT VALUES;
    `);
    for (const sql of [PERIOD, FIRST_ID, MAKE_PERIODS, DROP_PERIODS, COUNT_CREDENTIALS]) await runner.query(sql);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION count_credentials, spent_challenge_drop_periods, spent_challenge_make_periods,
        spent_challenge_first_id, spent_challenge_period;
      DROP TABLE spent_challenge_horizon, spent_challenge;
    `);
  }
}

const SEARCH_PATH = 'SET search_path = pg_catalog, public, pg_temp';
const AS_OWNER = `LANGUAGE plpgsql STRICT SECURITY DEFINER ${SEARCH_PATH} SET lock_timeout = '50ms'`;

const PERIOD = `
  CREATE FUNCTION spent_challenge_period(at timestamptz) RETURNS integer LANGUAGE plpgsql STABLE STRICT ${SEARCH_PATH} AS $$
    BEGIN
      IF at NOT BETWEEN TIMESTAMPTZ '2020-01-01T00:00Z' AND TIMESTAMPTZ '2200-01-01T00:00Z' THEN
        RAISE EXCEPTION 'periods of spent challenges are between 2020 and 2200, not at %', at
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
      RETURN floor(extract(epoch FROM at) / 21600);
    END $$`;

const FIRST_ID = `
  CREATE FUNCTION spent_challenge_first_id(period integer) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT ${SEARCH_PATH} AS $$
    SELECT rpad(lpad(to_hex(period * bigint '21600000'), 12, '0'), 32, '0')::uuid
  $$`;

/** SQL: returns the number of periods that it made, at most 18. */
const MAKE_PERIODS = `
  CREATE FUNCTION spent_challenge_make_periods(at timestamptz) RETURNS integer ${AS_OWNER} AS $$
    DECLARE
      present CONSTANT integer := spent_challenge_period(at);
      horizon integer;
      partition text;
      made integer := 0;
    BEGIN
      FOR n IN present - 1 .. present + 16 LOOP
        partition := 'spent_challenge_' || n;
        CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
        SELECT period INTO STRICT horizon FROM public.spent_challenge_horizon FOR UPDATE;
        CONTINUE WHEN n < horizon OR to_regclass('public.' || partition) IS NOT NULL;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.spent_challenge INCLUDING ALL) WITH (autovacuum_enabled = off)',
          partition);
        EXECUTE format('ALTER TABLE public.spent_challenge ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
          partition, spent_challenge_first_id(n), spent_challenge_first_id(n + 1));
        made := made + 1;
      END LOOP;
      RETURN made;
    END $$`;

/** SQL: returns the number of periods that it dropped, the oldest first and at most 8. */
const DROP_PERIODS = `
  CREATE FUNCTION spent_challenge_drop_periods(at timestamptz) RETURNS integer ${AS_OWNER} AS $$
    DECLARE
      horizon CONSTANT integer := least(spent_challenge_period(at), spent_challenge_period(clock_timestamp())) - 2;
      ended integer[];
    BEGIN
      FOR turn IN 1 .. 2 LOOP
        ended := ARRAY(
          SELECT n FROM pg_inherits JOIN pg_class ON oid = inhrelid,
              LATERAL CAST(substring(relname FROM '^spent_challenge_(\\d{1,6})$') AS integer) AS n
           WHERE inhparent = 'public.spent_challenge'::regclass AND n < horizon ORDER BY n LIMIT 8);
        IF ended = '{}' THEN RETURN 0; END IF;
        IF turn = 1 THEN PERFORM FROM public.spent_challenge_horizon FOR UPDATE; END IF;
      END LOOP;
      UPDATE public.spent_challenge_horizon SET period = greatest(period, ended[cardinality(ended)] + 1);
      EXECUTE 'DROP TABLE ' || (SELECT string_agg(format('public.%I', 'spent_challenge_' || n), ', ') FROM unnest(ended) AS n);
      RETURN cardinality(ended);
    END $$`;

/**
 * SQL: counts the user's credentials that are not revoked. It is VOLATILE on purpose: each statement of a volatile
 * function takes a snapshot of its own. A statement that locks the row of the user's handle and then calls this function
 * counts also what the holder of the lock registered, which the snapshot of the statement itself does not show. (READ
 * COMMITTED only.)
 *
 * It runs with the rights of its caller and names the schema of the table, so it needs no search path of its own.
 */
const COUNT_CREDENTIALS = `
  CREATE FUNCTION count_credentials(rp_id text, user_id text) RETURNS integer LANGUAGE plpgsql VOLATILE STRICT SECURITY INVOKER AS $$
    BEGIN
      RETURN (SELECT pg_catalog.count(*) FROM public.credential AS c
               WHERE c.rp_id = count_credentials.rp_id AND c.user_id = count_credentials.user_id AND c.status <> 'revoked');
    END $$`;
