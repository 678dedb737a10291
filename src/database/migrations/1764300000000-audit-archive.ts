import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the table of the archived partitions of `audit_event`. Their events are in a file, and the table keeps the
 * digest of it.
 */
export class AuditArchive1764300000000 implements MigrationInterface {
  name = 'AuditArchive1764300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE audit_archive (
        partition text PRIMARY KEY,
        lower_id uuid NOT NULL,
        upper_id uuid NOT NULL,
        from_leaf bigint NOT NULL,
        to_leaf bigint NOT NULL,
        events bigint NOT NULL,
        digest bytea NOT NULL,
        archived_at timestamptz(3) NOT NULL
      )
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE audit_archive');
  }
}
