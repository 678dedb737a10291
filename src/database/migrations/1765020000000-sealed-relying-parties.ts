import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Gives relying parties a seal, and the database a check value of the key that seals. The service fills both at its first
 * start (src/relying-parties/relying-party-adoption.ts). The previous version stores relying parties with no seal or an old one: put a
 * relying party again that is changed while replicas are replaced.
 */
export class SealedRelyingParties1765020000000 implements MigrationInterface {
  name = 'SealedRelyingParties1765020000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE relying_party ADD COLUMN seal bytea;
      CREATE TABLE key_check_value (purpose text PRIMARY KEY, value bytea NOT NULL);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE relying_party DROP COLUMN seal; DROP TABLE key_check_value');
  }
}
