import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOVE_AGAIN } from './1765000000000-order-without-transactions.js';

/**
 * Makes the indexes of the lists of events shorter: an entry has the 64-bit hash of the value instead of the value
 * itself, which takes 36 bytes instead of 44 to 84. A query compares the hash and then the value, so values with the same
 * hash are never mixed up (`equalsSql` in src/audit/audit-event.repository.ts). Lists of the previous version read the
 * log without an index until its replicas are replaced.
 *
 * Nearly all events are authentications. With the seed 12 their type has the greatest hash of all types, so new ones go to
 * the right end of the index of types, where PostgreSQL fills pages. In the middle they would leave pages half empty.
 *
 * If the log is large already, make the indexes before the migration with CREATE INDEX CONCURRENTLY, which locks nobody
 * out, on each partition of `audit_event` by any name. The migration uses an index that exists.
 */
export class ShortLogIndexes1765010000000 implements MigrationInterface {
  name = 'ShortLogIndexes1765010000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(MOVE_AGAIN);
    await runner.query(`DROP INDEX ${LISTS}`);
    await runner.query(`
      CREATE INDEX audit_event_type ON audit_event (hashtextextended(type, 12), id);
      CREATE INDEX audit_event_actor ON audit_event (hashtextextended(actor, 0), id) WHERE actor IS NOT NULL;
      CREATE INDEX audit_event_rp ON audit_event (hashtextextended(rp_id, 0), id) WHERE rp_id IS NOT NULL;
      CREATE INDEX audit_event_user ON audit_event (hashtextextended(user_id, 0), id) WHERE user_id IS NOT NULL;
      CREATE INDEX audit_event_credential_uid ON audit_event (uuid_hash_extended(credential_uid, 0), id)
        WHERE credential_uid IS NOT NULL;
      CREATE INDEX audit_event_credential_id ON audit_event (hashtextextended(credential_id, 0), id)
        WHERE credential_id IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(MOVE_AGAIN);
    await runner.query(`DROP INDEX ${LISTS}`);
    await runner.query(`
      CREATE INDEX audit_event_type ON audit_event (type, id);
      CREATE INDEX audit_event_actor ON audit_event (actor, id);
      CREATE INDEX audit_event_rp ON audit_event (rp_id, id) WHERE rp_id IS NOT NULL;
      CREATE INDEX audit_event_user ON audit_event (user_id, id) WHERE user_id IS NOT NULL;
      CREATE INDEX audit_event_credential_uid ON audit_event (credential_uid, id) WHERE credential_uid IS NOT NULL;
      CREATE INDEX audit_event_credential_id ON audit_event (credential_id, id) WHERE credential_id IS NOT NULL;
    `);
  }
}

const LISTS = `audit_event_type, audit_event_actor, audit_event_rp, audit_event_user, audit_event_credential_uid,
  audit_event_credential_id`;
