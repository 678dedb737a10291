import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Lets a passkey come from another service, which may not know everything of it.
 *
 * - `backup_eligible` is null until the next authentication tells it.
 * - `user_handle` is the handle that the authenticator holds, where it is not that of the user: other services make one for each
 *   registration. Empty: not known until the next authentication tells it. The index finds the user of such a handle.
 *
 * The version before cannot judge such rows, so import once no replica of it runs. If the table is large already, add the column
 * and make the index before the migration, with CREATE INDEX CONCURRENTLY, by the names below: that locks nobody out.
 */
export class ImportedPasskeys1765300000000 implements MigrationInterface {
  name = 'ImportedPasskeys1765300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE credential ADD COLUMN IF NOT EXISTS user_handle bytea, ALTER COLUMN backup_eligible DROP NOT NULL;
      CREATE INDEX IF NOT EXISTS credential_user_handle ON credential (user_handle) WHERE user_handle <> '';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE credential ALTER COLUMN backup_eligible SET NOT NULL, DROP COLUMN user_handle');
  }
}
