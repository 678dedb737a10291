import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Makes `approval`, which holds the requests that wait for the approval of a second identity, or had it. */
export class Approvals1765100000000 implements MigrationInterface {
  name = 'Approvals1765100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE approval (
        id uuid PRIMARY KEY,
        permission text NOT NULL,
        rp_id text NOT NULL,
        action text NOT NULL,
        requested_by text NOT NULL,
        requested_at timestamptz(3) NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        status text NOT NULL CHECK (status IN ('pending', 'approved', 'refused', 'expired')),
        decided_by text,
        decided_at timestamptz(3),
        reason text,
        mac bytea NOT NULL
      );
      CREATE INDEX approval_pending ON approval (id) WHERE status = 'pending';
      CREATE INDEX approval_ended ON approval (expires_at) WHERE status <> 'pending';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE approval');
  }
}
