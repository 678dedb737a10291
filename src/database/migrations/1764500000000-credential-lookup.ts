import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A relying party's credential is found by its credential id first. With the relying party first, like three other
 * indexes, PostgreSQL took whichever was the last to be made while the table was new, and read all of the relying party
 * for each answer until the table was analyzed.
 *
 * Where the table is large already, make the index before the migration without locking anybody out: CREATE UNIQUE INDEX
 * CONCURRENTLY, by its name. The migration takes over what is there.
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
