import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The browser-bound keys of a passkey (src/credentials/browser-keys.ts), as JSON text, because the seal covers its bytes. */
export class BrowserKeys1765290000000 implements MigrationInterface {
  readonly name = 'BrowserKeys1765290000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE credential ADD COLUMN browser_keys text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE credential DROP COLUMN browser_keys');
  }
}
