import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Gives a pending event the MAC by which the sequencer knows that the service wrote it. The event itself does not carry it:
 * once it is a leaf, the signed log vouches for it. Replicas of the previous version write no MAC. `by_owner` marks an event of
 * the owner of the tables, who records migrations and archives; grants.sql lets no other role set it.
 */
export class EventMacs1765210000000 implements MigrationInterface {
  name = 'EventMacs1765210000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE audit_pending
        ADD COLUMN mac bytea CHECK (octet_length(mac) = 20),
        ADD COLUMN by_owner boolean
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE audit_pending DROP COLUMN mac, DROP COLUMN by_owner');
  }
}
