import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the indexes of credentials and user handles smaller. docs/performance.md has the bytes before and after.
 *
 * - The id alone is the primary key of a credential.
 * - The lists of a relying party and of a model are in the order of `left(id::text, 8)` and then of `id`. That is the
 *   order of `id`, and the eight digits are the same for the 65 seconds in which ids begin alike (UUIDv7). PostgreSQL
 *   stores a key of an index once for many rows, so such an entry takes a few bytes for a credential.
 * - A user's credentials and the user with a handle are found by hash indexes. These take the same space whatever the
 *   length of the value, and the few rows of one user need no order.
 * - A tenth of each page of credentials stays free. A sign-in stores the new version of the row there, and changes no
 *   index.
 *
 * The previous version runs on these indexes, too. Only its lists of a relying party or a model may take longer.
 *
 * If the tables are large already, make the indexes before the migration with CREATE INDEX CONCURRENTLY, by the names
 * below, which locks nobody out. The migration uses indexes that exist. Pages that exist keep their free space.
 */
export class SmallerIndexes1764900000000 implements MigrationInterface {
  name = 'SmallerIndexes1764900000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE UNIQUE INDEX IF NOT EXISTS credential_key ON credential (id);
      CREATE INDEX IF NOT EXISTS credential_rp_time ON credential (rp_id, left(id::text, 8));
      CREATE INDEX IF NOT EXISTS credential_aaguid_time ON credential (aaguid, left(id::text, 8));
      CREATE INDEX IF NOT EXISTS credential_user_hash ON credential USING hash (user_id);
      CREATE INDEX IF NOT EXISTS user_handle_hash ON user_handle USING hash (handle);
      ALTER TABLE credential
        DROP CONSTRAINT credential_pkey,
        ADD CONSTRAINT credential_pkey PRIMARY KEY USING INDEX credential_key,
        SET (fillfactor = 90);
      DROP INDEX credential_id, credential_user, credential_any_rp_user, credential_aaguid, user_handle_lookup, user_handle_user;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE credential
        DROP CONSTRAINT credential_pkey,
        ADD CONSTRAINT credential_pkey PRIMARY KEY (rp_id, id),
        SET (fillfactor = 80);
      CREATE INDEX credential_id ON credential (id);
      CREATE INDEX credential_user ON credential (rp_id, user_id, id);
      CREATE INDEX credential_any_rp_user ON credential (user_id, id);
      CREATE INDEX credential_aaguid ON credential (aaguid, id);
      CREATE INDEX user_handle_lookup ON user_handle (handle, rp_id);
      CREATE INDEX user_handle_user ON user_handle (user_id);
      DROP INDEX credential_rp_time, credential_aaguid_time, credential_user_hash, user_handle_hash;
    `);
  }
}
