import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes an index for the suspended or revoked credentials of a relying party, in the order of their list. Without it
 * PostgreSQL went through the relying party's list: where one credential in a thousand was revoked, a page took 50,000
 * rows. Active credentials are not in the index.
 *
 * If the table is large already, make the index before the migration with CREATE INDEX CONCURRENTLY, by the name below,
 * which locks nobody out. The migration uses an index that exists.
 */
export class StatusOfARelyingParty1765250000000 implements MigrationInterface {
  name = 'StatusOfARelyingParty1765250000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX IF NOT EXISTS credential_rp_status ON credential (rp_id, status, left(id::text, 8)) WHERE status <> 'active'
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX credential_rp_status');
  }
}
