import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Puts the credential id first in the index that finds a credential of a relying party. The old index began with the
 * relying party, like three others. While the table was new, PostgreSQL used whichever of them was made last, and read
 * all rows of the relying party for each answer until the table was analyzed.
 *
 * If the table is large already, make the index before the migration with CREATE UNIQUE INDEX CONCURRENTLY, by the name
 * below, which locks nobody out. The migration uses an index that exists.
 */
export class CredentialLookup1764500000000 implements MigrationInterface {
  name = 'CredentialLookup1764500000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE UNIQUE INDEX IF NOT EXISTS credential_lookup ON credential (credential_id, rp_id);
      ALTER TABLE credential ADD UNIQUE USING INDEX credential_lookup, DROP CONSTRAINT credential_rp_id_credential_id_key;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE credential ADD UNIQUE (rp_id, credential_id), DROP CONSTRAINT credential_lookup');
  }
}
