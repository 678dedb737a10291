import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SourceName } from '../commands/passkeys/sources.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { ID, KEY, LINE, readDump } from './support/foreign-dumps.js';

/** The tables as the products make them, each with one passkey. */
const HEX = { id: ID.toString('hex'), key: KEY.toString('hex') };
const USER = '8d0ae0e5-3a31-4a55-8b9c-6e2a3a1f0c11';
const DATA = {
  aaguid: '01020304-0506-0708-0102-030405060708',
  credentialId: ID.toString('base64'),
  counter: 7,
  credentialPublicKey: LINE.publicKey,
  transports: ['internal'],
};
const TABLES = `
CREATE SCHEMA products;
SET search_path = products;
CREATE TABLE webauthn_credentials (id varchar(255) PRIMARY KEY, user_id uuid NOT NULL, public_key text NOT NULL,
  attestation_type varchar(255) NOT NULL, aaguid uuid NOT NULL, sign_count integer NOT NULL, created_at timestamp NOT NULL,
  updated_at timestamp NOT NULL, name varchar(255), backup_eligible bool DEFAULT false, backup_state bool DEFAULT false,
  last_used_at timestamp, mfa_only bool DEFAULT false, user_handle_id uuid, tenant_id uuid);
CREATE TABLE webauthn_credential_transports (id uuid PRIMARY KEY, name varchar(255), webauthn_credential_id varchar(255));
CREATE TABLE webauthn_credential_user_handles (id uuid PRIMARY KEY, user_id uuid, handle varchar(255));
INSERT INTO webauthn_credential_user_handles VALUES ('${USER}', '${USER}', 'legacy-7');
INSERT INTO webauthn_credentials VALUES ('${LINE.credentialId}', '${USER}', '${LINE.publicKey}', 'none', '${USER}', 3, '2026-01-01',
  '2026-01-01', 'Key', true, true, '2026-01-02', false, '${USER}', NULL);
INSERT INTO webauthn_credential_transports VALUES (gen_random_uuid(), 'usb', '${LINE.credentialId}'), (gen_random_uuid(), 'nfc', '${LINE.credentialId}');

CREATE TABLE user_entity (id varchar(36) PRIMARY KEY, realm_id varchar(255));
CREATE TABLE credential (id varchar(36) PRIMARY KEY, salt bytea, type varchar(255), user_id varchar(36), created_date bigint,
  user_label varchar(255), secret_data text, credential_data text, priority integer, version integer);
INSERT INTO user_entity VALUES ('${USER}', '…');
INSERT INTO credential VALUES ('1', NULL, 'webauthn-passwordless', '${USER}', 1796071017918, 'Key', '{}', '${JSON.stringify(DATA)}', 10, 0),
  ('2', NULL, 'password', '${USER}', 1796071017918, NULL, '{}', '{}', 10, 0);

CREATE TABLE user_entities (id varchar(1000) PRIMARY KEY, name varchar(100), display_name varchar(200));
CREATE TABLE user_credentials (credential_id varchar(1000) PRIMARY KEY, user_entity_user_id varchar(1000), public_key bytea,
  signature_count bigint, uv_initialized boolean, backup_eligible boolean, authenticator_transports varchar(1000),
  public_key_credential_type varchar(100), backup_state boolean, attestation_object bytea, attestation_client_data_json bytea,
  created timestamp, last_used timestamp, label varchar(1000));
INSERT INTO user_entities VALUES ('AQIDBA', 'ada', 'Ada');
INSERT INTO user_credentials VALUES ('${LINE.credentialId}', 'AQIDBA', '\\x${HEX.key}', 2, true, true, 'usb,nfc', 'public-key', false,
  '\\x00', '\\x00', '2026-01-01', '2026-01-02', 'Key');

CREATE TABLE m_user (id integer PRIMARY KEY, user_handle bytea, email_address varchar(64));
CREATE TABLE m_credential_record (id integer PRIMARY KEY, name varchar(32), user_id integer, counter bigint, uv_initialized boolean,
  backup_eligible boolean, backed_up boolean, aaguid bytea, credential_id bytea, cose_key bytea, attestation_statement text);
CREATE TABLE m_transport (credential_record_id integer, transport varchar(32));
INSERT INTO m_user VALUES (1, '\\x010203', 'ada@example.com');
INSERT INTO m_credential_record VALUES (1, 'Key', 1, 2, true, true, false, '\\x${'00'.repeat(16)}', '\\x${HEX.id}', '\\x${HEX.key}', '');
INSERT INTO m_transport VALUES (1, 'usb'), (1, 'nfc');
`;

const PAGE = readFileSync('docs/portability-readers.md', 'utf8');

/** The statements of a section of the page. */
function statementsOf(title: string): string[] {
  const [, after = ''] = PAGE.split(`\n### ${title}\n`);
  const [section = ''] = after.split('\n### ');
  return [...section.matchAll(/```sql\n(.*?)```/gs)].map(([, statement = '']) => statement);
}

let database: TestDatabase;
let session: pg.Client;
beforeAll(async () => {
  database = await createTestDatabase();
  session = new pg.Client(database.ownerUrl);
  await session.connect();
  await session.query(TABLES);
});
afterAll(async () => {
  await session.end();
  await database.drop();
});

describe('the statement that docs/portability-readers.md gives for', () => {
  it.each([
    [
      'Hanko',
      0,
      'hanko',
      { userId: USER, userHandle: Buffer.from('legacy-7').toString('base64url'), transports: ['nfc', 'usb'] },
    ],
    [
      'Keycloak',
      0,
      'keycloak',
      { userId: USER, userHandle: Buffer.from(USER).toString('base64url'), transports: ['internal'] },
    ],
    ['WebAuthn4J', 0, 'webauthn4j', { userId: 'ada', userHandle: 'AQIDBA', transports: ['usb', 'nfc'] }],
    [
      'WebAuthn4J',
      1,
      'webauthn4j',
      { userId: '1', userHandle: 'AQID', transports: expect.arrayContaining(['usb', 'nfc']) },
    ],
  ] as const)('%s (%i) gives what the reader of %s needs', async (title, index, source: SourceName, members) => {
    const { rows } = await session.query<{ dump: string }>(
      `SELECT json_agg(row_to_json(passkeys))::text AS dump FROM (${statementsOf(title)[index]!}) AS passkeys`,
    );
    const { lines, faults } = await readDump(source, rows[0]!.dump);
    expect({ lines, faults }).toEqual({
      lines: [expect.objectContaining({ ...LINE, ...members, name: 'Key' })],
      faults: [],
    });
  });
});
