import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the limits of a user count, each a range of its own index: the challenges issued to the user, and what was
 * refused. The first takes one entry for each ceremony, the second none while all goes well.
 */
export class UserLimits1764100000000 implements MigrationInterface {
  name = 'UserLimits1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX audit_event_issued ON audit_event (rp_id, user_id, id)
        WHERE user_id IS NOT NULL AND type = 'challenge.issue' AND outcome = 'success';
      CREATE INDEX audit_event_refused ON audit_event (rp_id, user_id, type, id)
        WHERE user_id IS NOT NULL AND outcome = 'failure';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX audit_event_issued, audit_event_refused');
  }
}
