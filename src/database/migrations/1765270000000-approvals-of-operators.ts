import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lets a request for approval be about no relying party: `npm run keys` asks for the forced retirement of a key. */
export class ApprovalsOfOperators1765270000000 implements MigrationInterface {
  name = 'ApprovalsOfOperators1765270000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE approval ALTER COLUMN rp_id DROP NOT NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DELETE FROM approval WHERE rp_id IS NULL;
      ALTER TABLE approval ALTER COLUMN rp_id SET NOT NULL;
    `);
  }
}
