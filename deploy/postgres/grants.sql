-- Grants privileges on the tables to roles other than their owner. The migrator runs this after each migration, and may
-- repeat it. A table that is not named here stays closed, and fails src/database/privileges.spec.ts. The roles reach a
-- partition only through its table.
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, passkey_manager, passkey_auditor;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, passkey_manager, passkey_auditor;

GRANT SELECT, INSERT ON relying_party TO passkey_manager;
-- A relying party keeps its RP ID, so a second one with weaker settings cannot take its place.
GRANT UPDATE (name, origins, enabled, policy, successor, version, created_at, updated_at, seal) ON relying_party TO passkey_manager;
-- A check value stays, so nobody who acts as the service can make it trust rows without a seal again.
GRANT SELECT, INSERT ON key_check_value TO passkey_manager;
-- The service adds keys, and says when one became the first. Only the migrator retires a key.
GRANT SELECT, INSERT (id, check_value, added_at), UPDATE (first_at) ON seal_key TO passkey_manager;
-- The service ends the old seals, and cannot go back to them.
GRANT SELECT, INSERT ON seal_phase TO passkey_manager;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_handle, credential TO passkey_manager;
-- A request for approval is deleted 30 days after it ended.
GRANT SELECT, INSERT, DELETE ON approval TO passkey_manager;
-- A decision sets these columns. What a request does, who made it and until when it stands cannot change.
GRANT UPDATE (status, decided_by, decided_at, reason, mac) ON approval TO passkey_manager;
-- A stream stays with its owner. A signal never changes: it is delivered as its change wrote it, and deleted.
GRANT SELECT, INSERT, DELETE ON signal_stream, signal_excluded_subject, signal TO passkey_manager;
GRANT UPDATE (aud, relying_parties, events_requested, events_delivered, delivery_method, endpoint_url, description, status,
  status_reason, updated_at, active_at, verified_at, dropped_at) ON signal_stream TO passkey_manager;
GRANT UPDATE (algorithm, push_authorization, push_holder, push_lease, push_retry_at, push_failing_since, push_failures, push_failure)
  ON signal_stream TO passkey_manager;
-- How far the signals about a compromised model are.
GRANT SELECT, INSERT, UPDATE (serial, status, after, completed_at) ON signal_model TO passkey_manager;
GRANT SELECT, INSERT, DELETE ON challenge TO passkey_manager;
-- SELECT … FOR UPDATE needs the privilege to UPDATE a column.
GRANT UPDATE (id) ON challenge TO passkey_manager;
-- The service spends a challenge once, and cannot make it unspent.
GRANT SELECT, INSERT ON spent_challenge TO passkey_manager;
-- They make the next periods of spent challenges and drop those whose challenges have expired, with the rights of the owner.
GRANT EXECUTE ON FUNCTION spent_challenge_make_periods(timestamptz), spent_challenge_drop_periods(timestamptz) TO passkey_manager;
GRANT EXECUTE ON FUNCTION count_credentials(text, text) TO passkey_manager;
-- The service can add to the log, but cannot alter or remove what is in it.
GRANT SELECT, INSERT ON audit_event, audit_leaf, audit_node, audit_checkpoint TO passkey_manager;
-- Events that are pending. Only the owner can say that an event is its own (by_owner), which needs no MAC.
GRANT SELECT, DELETE ON audit_pending TO passkey_manager;
GRANT INSERT (event_id, leaf_hash, mac) ON audit_pending TO passkey_manager;
-- The replica that locks the row of this table sequences the log.
GRANT SELECT, UPDATE ON audit_turn TO passkey_manager;
-- How many users have moved to the successor of a relying party. Nothing is decided by it.
GRANT SELECT, INSERT, UPDATE, DELETE ON succession TO passkey_manager;
-- The replica that locks the row of this table walks through all rows; it says how far the walk is.
GRANT SELECT ON reconciliation TO passkey_manager;
GRANT UPDATE (phase, after, began_at, found, old_seals, due_at, completed_at, findings) ON reconciliation TO passkey_manager;
-- What is counted for the statistics, and how far. The replica that locks the row counts.
GRANT SELECT, INSERT, UPDATE, DELETE ON statistic_ceremony, statistic_credential TO passkey_manager;
GRANT SELECT, UPDATE ON statistic_log, statistic_walk TO passkey_manager;
-- Only the migrator archives months.
GRANT SELECT ON audit_archive TO passkey_manager;
-- They create the partitions of the next months, and move events from the default partition to their months. Only the table's
-- owner has the rights for that, so they run with the owner's.
GRANT EXECUTE ON FUNCTION audit_make_partitions(date, integer), audit_empty_default(date) TO passkey_manager;
-- Only the migrator records migrations.
GRANT SELECT ON schema_migration TO passkey_manager;

GRANT SELECT ON audit_event, audit_leaf, audit_node, audit_checkpoint, audit_archive TO passkey_auditor;

COMMIT;
