import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Lets a credential say when it was last used to sign in. A row without the time takes no more bytes, and the seal covers the
 * time where there is one.
 */
export class LastSignIn1765285000000 implements MigrationInterface {
  name = 'LastSignIn1765285000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE credential ADD COLUMN last_sign_in_at timestamptz(3)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE credential DROP COLUMN last_sign_in_at');
  }
}
