import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Counts how often all passkeys of a user were revoked, so that no registration that had begun before ends after it. A user whom
 * nobody revoked takes no more bytes.
 */
export class RevokedUsers1765320000000 implements MigrationInterface {
  name = 'RevokedUsers1765320000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE user_handle ADD COLUMN revocations integer');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE user_handle DROP COLUMN revocations');
  }
}
