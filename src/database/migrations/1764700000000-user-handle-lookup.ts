import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Finds a user by the handle that an authenticator sends, where the credential that it names is not there.
 *
 * If the table is large already, make the index before the migration without locking anybody out, by CREATE INDEX
 * CONCURRENTLY and its name. The migration takes over an index that is there.
 */
export class UserHandleLookup1764700000000 implements MigrationInterface {
  name = 'UserHandleLookup1764700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE INDEX IF NOT EXISTS user_handle_lookup ON user_handle (handle, rp_id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX user_handle_lookup');
  }
}
