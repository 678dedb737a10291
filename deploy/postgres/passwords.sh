#!/bin/sh
# The postgres image runs this once, after roles.sql. The auditor has no password and so no access. To give it one, run
# \password passkey_auditor in psql.
set -eu
psql --set ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set migrator_password="$(cat /run/secrets/migrator-password)" \
  --set service_password="$(cat /run/secrets/service-password)" <<'SQL'
SET password_encryption = 'scram-sha-256';
ALTER ROLE passkey_migrator PASSWORD :'migrator_password';
ALTER ROLE passkey_manager PASSWORD :'service_password';
SQL
