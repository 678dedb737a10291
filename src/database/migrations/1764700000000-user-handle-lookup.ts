import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the index that finds a user by the handle that an authenticator sends, for answers whose credential does not
 * exist.
 *
 * If the table is large already, make the index before the migration with CREATE INDEX CONCURRENTLY, by the name below,
 * which locks nobody out. The migration uses an index that exists.
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
