import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the first tables. Keys begin with the relying party, and no foreign key leads from a hot row to its relying
 * party, so that the tables can be distributed. Challenges are the exception, because an answer names its challenge by
 * id alone.
 */
export class Initial1764000000000 implements MigrationInterface {
  name = 'Initial1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE relying_party (
        rp_id text PRIMARY KEY,
        name text NOT NULL,
        origins text[] NOT NULL,
        enabled boolean NOT NULL,
        policy jsonb NOT NULL,
        version integer NOT NULL,
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL
      );

      CREATE TABLE user_handle (
        rp_id text NOT NULL,
        user_id text NOT NULL,
        handle bytea NOT NULL,
        created_at timestamptz(3) NOT NULL,
        PRIMARY KEY (rp_id, user_id)
      );

      CREATE TABLE challenge (
        id uuid PRIMARY KEY,
        rp_id text NOT NULL,
        user_id text,
        ceremony text NOT NULL CHECK (ceremony IN ('registration', 'authentication')),
        purpose text,
        challenge bytea NOT NULL,
        issued_to text NOT NULL,
        conditional boolean NOT NULL,
        attachment text,
        expires_at timestamptz(3) NOT NULL
      ) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
      CREATE INDEX challenge_expires_at ON challenge (expires_at);
      CREATE INDEX challenge_user ON challenge (rp_id, user_id) WHERE user_id IS NOT NULL;

      CREATE TABLE credential (
        rp_id text NOT NULL,
        id uuid NOT NULL,
        user_id text NOT NULL,
        credential_id bytea NOT NULL,
        public_key bytea NOT NULL,
        algorithm integer NOT NULL,
        aaguid uuid NOT NULL,
        name text NOT NULL,
        status text NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
        status_reason text,
        status_changed_at timestamptz(3) NOT NULL,
        attachment text,
        transports text[] NOT NULL,
        discoverable boolean,
        backup_eligible boolean NOT NULL,
        backed_up boolean NOT NULL,
        user_verified boolean NOT NULL,
        attestation_format text NOT NULL,
        attestation_trust text NOT NULL,
        sign_count bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        created_by text NOT NULL,
        last_used_at timestamptz(3),
        binding_mac bytea NOT NULL,
        PRIMARY KEY (rp_id, id),
        UNIQUE (rp_id, credential_id)
      ) WITH (fillfactor = 80);
      CREATE INDEX credential_id ON credential (id);
      CREATE INDEX credential_user ON credential (rp_id, user_id, id);
      CREATE INDEX credential_any_rp_user ON credential (user_id, id);
      CREATE INDEX credential_aaguid ON credential (aaguid, id);

      CREATE TABLE audit_event (
        id uuid PRIMARY KEY,
        tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
        event text NOT NULL,
        leaf_hash bytea NOT NULL,
        type text NOT NULL,
        outcome text NOT NULL,
        actor text,
        rp_id text,
        user_id text,
        credential_uid uuid,
        credential_id text
      );
      CREATE INDEX audit_event_type ON audit_event (type, id);
      CREATE INDEX audit_event_outcome ON audit_event (id) WHERE outcome = 'failure';
      CREATE INDEX audit_event_actor ON audit_event (actor, id);
      CREATE INDEX audit_event_user ON audit_event (user_id, id) WHERE user_id IS NOT NULL;
      CREATE INDEX audit_event_credential_uid ON audit_event (credential_uid, id) WHERE credential_uid IS NOT NULL;
      CREATE INDEX audit_event_credential_id ON audit_event (credential_id, id) WHERE credential_id IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE audit_event, credential, challenge, user_handle, relying_party');
  }
}
