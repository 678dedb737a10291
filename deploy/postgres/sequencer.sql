-- Gives the transparency log a writer of its own: passkey_sequencer, the login in PASSKEY_AUDIT_DATABASE_URL. Then the service's
-- other connections can record events and no more: no SQL there makes a leaf, or keeps an event from having one. The migrator
-- runs this after each run of grants.sql, which gives these privileges to passkey_manager, and may repeat it.
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM passkey_sequencer;
REVOKE INSERT ON audit_leaf, audit_node, audit_checkpoint FROM passkey_manager;
REVOKE DELETE ON audit_pending FROM passkey_manager;
REVOKE UPDATE ON audit_turn FROM passkey_manager;

GRANT SELECT, INSERT ON audit_leaf, audit_node, audit_checkpoint TO passkey_sequencer;
GRANT SELECT, DELETE ON audit_pending TO passkey_sequencer;
GRANT SELECT, UPDATE ON audit_turn TO passkey_sequencer;
-- The turn that finds other audit keys or an older log records that itself (audit.rekey, audit.restore).
GRANT SELECT, INSERT ON audit_event TO passkey_sequencer;
GRANT INSERT (event_id, leaf_hash, mac) ON audit_pending TO passkey_sequencer;

COMMIT;
