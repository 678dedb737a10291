import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOVE_AGAIN } from './1765000000000-order-without-transactions.js';

/**
 * Makes what holds the rows against the log (src/reconciliation): `reconciliation`, whose one row says how far the walk
 * is, and an index of the events that tell of a row, by the row: a credential's id, a user's pseudonym or an RP ID. The
 * index has no sign-ins, except those that changed the credential.
 *
 * If the log is large already, make the index before the migration with CREATE INDEX CONCURRENTLY, which locks nobody
 * out, on each partition of `audit_event` by any name. The migration uses an index that exists.
 */
export class Reconciliation1765220000000 implements MigrationInterface {
  name = 'Reconciliation1765220000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(MOVE_AGAIN);
    await runner.query(`
      CREATE INDEX audit_event_state ON audit_event (hashtextextended(coalesce(credential_uid::text, user_id, rp_id), 0), id)
        WHERE (outcome = 'success' AND (type IN ('credential.register', 'credential.rename', 'credential.suspend',
            'credential.reinstate', 'credential.revoke', 'user.erase', 'relying-party.create', 'relying-party.update',
            'relying-party.seal') OR strpos(event, '"credential_version":') > 0) OR type = 'reconciliation.finding');

      CREATE TABLE reconciliation (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        phase text NOT NULL DEFAULT 'credential',
        after text,
        began_at timestamptz(3),
        found jsonb NOT NULL DEFAULT '{}',
        old_seals integer NOT NULL DEFAULT 0,
        due_at timestamptz(3) NOT NULL DEFAULT now(),
        completed_at timestamptz(3),
        findings jsonb NOT NULL DEFAULT '{}'
      );
      INSERT INTO reconciliation DEFAULT VALUES;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(MOVE_AGAIN);
    await runner.query('DROP TABLE reconciliation; DROP INDEX audit_event_state');
  }
}
