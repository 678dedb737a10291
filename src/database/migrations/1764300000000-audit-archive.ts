import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which partitions of `audit_event` were archived: their events are in a file, and only its digest is here. */
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
