import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Removes the transaction number of each event and its index. `audit_pending` replaced them, and the previous version
 * neither reads nor sets them. It still sets `audit_checkpoint.last_tx`, so that column may be empty from now on, and
 * the next version drops it.
 *
 * Events that are being moved out of the default partition are copied again from the beginning, because their copies
 * have the columns of before.
 */
export class OrderWithoutTransactions1765000000000 implements MigrationInterface {
  name = 'OrderWithoutTransactions1765000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(MOVE_AGAIN);
    await runner.query(`
      DROP INDEX audit_event_tx;
      ALTER TABLE audit_event DROP COLUMN tx;
      ALTER TABLE audit_checkpoint ALTER COLUMN last_tx DROP NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(MOVE_AGAIN);
    await runner.query(`
      UPDATE audit_checkpoint SET last_tx = 0 WHERE last_tx IS NULL;
      ALTER TABLE audit_checkpoint ALTER COLUMN last_tx SET NOT NULL;
      ALTER TABLE audit_event ADD COLUMN tx xid8 NOT NULL DEFAULT pg_current_xact_id();
      CREATE INDEX audit_event_tx ON audit_event (tx, id);
    `);
  }
}

/** SQL: ends the moving of events out of the default partition. The next step of `audit_empty_default` begins again. */
export const MOVE_AGAIN = `
  DROP TRIGGER IF EXISTS audit_move_too ON audit_event_default;
  DROP TABLE IF EXISTS audit_event_moving, audit_event_moved;
`;
