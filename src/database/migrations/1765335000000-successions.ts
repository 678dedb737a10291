import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * One row for each relying party with a successor (src/successors): how many users have moved, by the last count, which process
 * counts them now, and the end that the audit log has an event of. It holds no user id.
 *
 * A constraint leaves one way to say that there is no successor, because a seal knows no difference between NULL and a JSON null.
 */
export class Successions1765335000000 implements MigrationInterface {
  readonly name = 'Successions1765335000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE relying_party ADD CONSTRAINT relying_party_successor CHECK (jsonb_typeof(successor) = 'object');

      CREATE TABLE succession (
        rp_id text PRIMARY KEY,
        successor text,
        counter uuid,
        alive_at timestamptz(3),
        counted_at timestamptz(3),
        users jsonb,
        recorded_end timestamptz(3)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE succession; ALTER TABLE relying_party DROP CONSTRAINT relying_party_successor');
  }
}
