import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes indexes for two lists that would read a whole table without them: credentials that are not active, and the
 * events of one relying party, for an auditor who is limited to it. The first index has no entry while every credential
 * is active, the second has one per event.
 *
 * If the tables are large already, make the indexes before the migration with CREATE INDEX CONCURRENTLY, which locks
 * nobody out: on `credential` by the name below, and on each partition of `audit_event` by any name. The migration uses
 * an index that exists.
 */
export class ListIndexes1764400000000 implements MigrationInterface {
  name = 'ListIndexes1764400000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX IF NOT EXISTS credential_status ON credential (status, id) WHERE status <> 'active';
      CREATE INDEX audit_event_rp ON audit_event (rp_id, id) WHERE rp_id IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX credential_status, audit_event_rp');
  }
}
