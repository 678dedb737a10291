import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Lets `audit_pending` be published. It has no key, and PostgreSQL refuses to delete from a published table that has
 * neither a key nor a replica identity: with a publication of all tables, the log would stand still. Without
 * `wal_level = logical` the setting changes nothing that PostgreSQL writes.
 */
export class PublishablePendingEvents1765240000000 implements MigrationInterface {
  name = 'PublishablePendingEvents1765240000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE audit_pending REPLICA IDENTITY FULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE audit_pending REPLICA IDENTITY DEFAULT');
  }
}
