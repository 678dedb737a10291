import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lets the walk count the rows whose seal was old when it came to them (src/reconciliation/seal-refresh.ts). */
export class OldSeals1765250000000 implements MigrationInterface {
  name = 'OldSeals1765250000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE reconciliation ADD COLUMN old_seals integer NOT NULL DEFAULT 0');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE reconciliation DROP COLUMN old_seals');
  }
}
