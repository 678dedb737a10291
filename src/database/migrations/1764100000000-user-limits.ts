import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the indexes for the limits of a user. Each limit counts one range of one index: the challenges issued to the
 * user, or the refusals. The first index gets one entry per ceremony, the second one only when something is refused.
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
