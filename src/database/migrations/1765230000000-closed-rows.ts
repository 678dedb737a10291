import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Refuses rows that the service never writes, and drops a column that it does not use any more: `audit_checkpoint.last_tx`,
 * which the previous version neither reads nor sets.
 *
 * The constraint is not validated here, because that would read all stored hashes. It holds for new rows.
 */
export class ClosedRows1765230000000 implements MigrationInterface {
  name = 'ClosedRows1765230000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE audit_checkpoint DROP COLUMN last_tx;
      ALTER TABLE audit_node ADD CONSTRAINT audit_node_level CHECK (level % 8 = 0) NOT VALID;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE audit_node DROP CONSTRAINT audit_node_level;
      ALTER TABLE audit_checkpoint ADD COLUMN last_tx numeric(20, 0);
    `);
  }
}
