import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Prepares for seals that name their key (docs/adr/0031-keys-are-sets.md). A credential gets a version, which the log's
 * events name: 0 for one of before. `seal_phase` says when the new seals begin: a day from now if the database has rows,
 * because replicas of the previous version may run that long, and accept no new seals.
 */
export class SealedRows1765200000000 implements MigrationInterface {
  name = 'SealedRows1765200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE credential ADD COLUMN version integer NOT NULL DEFAULT 0;
      ALTER TABLE user_handle ADD COLUMN seal bytea;
      CREATE TABLE seal_key (
        id text PRIMARY KEY,
        check_value bytea NOT NULL,
        added_at timestamptz(3) NOT NULL,
        first_at timestamptz(3),
        retired_at timestamptz(3)
      );
      CREATE TABLE seal_phase (phase text PRIMARY KEY CHECK (phase IN ('new', 'only-new')), since timestamptz(3) NOT NULL);
      INSERT INTO seal_phase (phase, since)
      SELECT phase, CASE WHEN is_empty THEN now() ELSE now() + interval '1 day' END
        FROM (SELECT NOT EXISTS (SELECT FROM relying_party) AND NOT EXISTS (SELECT FROM user_handle) AS is_empty) AS database,
             unnest(ARRAY['new', 'only-new']) AS phase
       WHERE phase = 'new' OR is_empty;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE seal_phase, seal_key;
      ALTER TABLE user_handle DROP COLUMN seal;
      ALTER TABLE credential DROP COLUMN version;
    `);
  }
}
