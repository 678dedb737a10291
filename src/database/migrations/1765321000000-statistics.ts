import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the tables of the statistics (src/statistics), which are counted in the background:
 *
 * - `statistic_ceremony`: the ceremonies of each hour, as hours since 1970; `statistic_log`, with one row, says how much of the log is
 *   counted.
 * - `statistic_credential`: the passkeys of large relying parties; `statistic_walk`, with one row, says how far the walk is.
 */
export class Statistics1765321000000 implements MigrationInterface {
  name = 'Statistics1765321000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE statistic_ceremony (
        rp_id text NOT NULL,
        hour integer NOT NULL,
        ceremony text NOT NULL,
        kind text NOT NULL,
        reason text NOT NULL,
        count bigint NOT NULL,
        PRIMARY KEY (rp_id, hour, ceremony, kind, reason)
      ) WITH (fillfactor = 70);
      CREATE INDEX statistic_ceremony_hour ON statistic_ceremony USING brin (hour);
      CREATE TABLE statistic_log (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        next_leaf bigint,
        counted_at timestamptz(3),
        since integer
      );
      INSERT INTO statistic_log DEFAULT VALUES;

      CREATE TABLE statistic_credential (
        rp_id text PRIMARY KEY,
        counts jsonb NOT NULL,
        computed_at timestamptz(3) NOT NULL
      );
      CREATE TABLE statistic_walk (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        rp_id text,
        after uuid,
        counts jsonb,
        due_at timestamptz(3) NOT NULL DEFAULT now()
      );
      INSERT INTO statistic_walk DEFAULT VALUES;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE statistic_ceremony, statistic_log, statistic_credential, statistic_walk');
  }
}
