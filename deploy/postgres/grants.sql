-- Who but their owner may do what with the tables. Run by the migrator after each migration; may be repeated. A table
-- that is not named is closed, and fails src/database/privileges.spec.ts. Partitions are reached by their table alone.
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, passkey_manager, passkey_auditor;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, passkey_manager, passkey_auditor;

GRANT SELECT, INSERT, UPDATE ON relying_party TO passkey_manager;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_handle, credential TO passkey_manager;
GRANT SELECT, INSERT, DELETE ON challenge TO passkey_manager;
-- SELECT … FOR UPDATE asks for UPDATE of some column.
GRANT UPDATE (id) ON challenge TO passkey_manager;
-- What is in the log, the service itself cannot alter or remove.
GRANT SELECT, INSERT ON audit_event, audit_leaf, audit_node, audit_checkpoint TO passkey_manager;
-- Events that have no place in the log yet.
GRANT SELECT, INSERT, DELETE ON audit_pending TO passkey_manager;
-- The replica that locks its row puts the log in order.
GRANT SELECT, UPDATE ON audit_turn TO passkey_manager;
-- Which months are archived is for the migrator to say: it archives them.
GRANT SELECT ON audit_archive TO passkey_manager;
-- These make the log's next months, and give the events in the default partition their months. Only the table's owner can.
GRANT EXECUTE ON FUNCTION audit_make_partitions(date, integer), audit_empty_default(date) TO passkey_manager;
-- Which migrations were run is the migrator's to say.
GRANT SELECT ON schema_migration TO passkey_manager;

GRANT SELECT ON audit_event, audit_leaf, audit_node, audit_checkpoint, audit_archive TO passkey_auditor;

COMMIT;
