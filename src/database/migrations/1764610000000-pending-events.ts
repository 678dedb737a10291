import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes `audit_pending`, which holds each event from its record until the sequencer gives it a place in the log. One
 * statement writes the event and its pending row, and the sequencer deletes the row in the transaction that makes the
 * leaf. The table has no index, and vacuum never locks it to give pages back. The replica that locks the one row of
 * `audit_turn` puts the log in order. Only the service may lock it.
 *
 * Replicas of the previous version still use `audit_event.tx` with its index and `audit_checkpoint.last_tx`. The next
 * version drops them.
 *
 * The constraints are not validated here, because that would read the whole log. They hold for new rows.
 */
export class PendingEvents1764610000000 implements MigrationInterface {
  name = 'PendingEvents1764610000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE audit_pending (
        event_id uuid NOT NULL,
        leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
      ) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

      CREATE TABLE audit_turn (one boolean PRIMARY KEY DEFAULT true CHECK (one));
      INSERT INTO audit_turn DEFAULT VALUES;

      ALTER TABLE audit_leaf
        ADD CONSTRAINT audit_leaf_index CHECK (leaf_index >= 0) NOT VALID,
        ADD CONSTRAINT audit_leaf_hash CHECK (octet_length(leaf_hash) = 32) NOT VALID;
      ALTER TABLE audit_node
        ADD CONSTRAINT audit_node_place CHECK (level > 0 AND index >= 0) NOT VALID,
        ADD CONSTRAINT audit_node_hash CHECK (octet_length(hash) = 32) NOT VALID;
      ALTER TABLE audit_checkpoint ADD CONSTRAINT audit_checkpoint_size CHECK (size > 0) NOT VALID;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE audit_checkpoint DROP CONSTRAINT audit_checkpoint_size;
      ALTER TABLE audit_node DROP CONSTRAINT audit_node_place, DROP CONSTRAINT audit_node_hash;
      ALTER TABLE audit_leaf DROP CONSTRAINT audit_leaf_index, DROP CONSTRAINT audit_leaf_hash;
      DROP TABLE audit_turn, audit_pending;
    `);
  }
}
