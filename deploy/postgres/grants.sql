-- Run by the migrator after each migration. The service reads and adds to every table; these are the ones it may change.
-- audit_event is not among them: what is in the log, the service itself cannot alter or remove.
GRANT UPDATE ON relying_party TO passkey_manager;
GRANT UPDATE, DELETE ON user_handle, credential TO passkey_manager;
GRANT DELETE ON challenge TO passkey_manager;
-- Which migrations were run is the migrator's to say.
REVOKE INSERT ON schema_migration FROM passkey_manager;
