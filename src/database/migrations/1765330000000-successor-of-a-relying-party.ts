import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The relying party that takes over when a domain changes (src/relying-parties/successor.ts). NULL: none. */
export class SuccessorOfARelyingParty1765330000000 implements MigrationInterface {
  readonly name = 'SuccessorOfARelyingParty1765330000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE relying_party ADD COLUMN successor jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE relying_party DROP COLUMN successor');
  }
}
