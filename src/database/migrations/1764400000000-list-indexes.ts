import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What lists would read from end to end without an index of their own: credentials that are not active, and the events
 * of one relying party, for an auditor who is limited to it. The first takes no entry while all goes well, the second
 * one for each event.
 *
 * Where the tables are large already, make the indexes before the migration without locking anybody out: CREATE INDEX
 * CONCURRENTLY on `credential` by its name, and on each partition of `audit_event` by any. The migration takes over what
 * is there.
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
