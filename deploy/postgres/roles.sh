#!/bin/sh
# Run once by the postgres image, on an empty database. Two roles: the migrator owns the schema, the service only works
# in it. What a migration creates, the service may read and add to; grants.sql names what it may change besides.
set -eu
psql --set ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set database="$POSTGRES_DB" --set migrator_password="$MIGRATOR_PASSWORD" --set service_password="$SERVICE_PASSWORD" <<'SQL'
CREATE ROLE passkey_migrator LOGIN PASSWORD :'migrator_password';
CREATE ROLE passkey_manager LOGIN PASSWORD :'service_password';
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO passkey_migrator, passkey_manager;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO passkey_migrator;
GRANT USAGE ON SCHEMA public TO passkey_manager;
ALTER DEFAULT PRIVILEGES FOR ROLE passkey_migrator IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO passkey_manager;
SQL
