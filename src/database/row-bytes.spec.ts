import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { until } from '../../test/support/until.js';

/** A hash index grows in steps. With this number it has about as many bytes for a row as with a million. */
const USERS = 32_000;

/** SQL: user ids as callers choose them. */
const UUID = `md5('u' || i)::uuid::text`;
const SHORT = `'user-' || i * 7919 % ${String(USERS)}`;

/**
 * The most bytes of each table and index for a user with one passkey, where user ids are UUIDs. Whoever adds an index or a
 * column decides here what it may take of the disk, and of the memory for each user who signs in.
 */
const BUDGET = {
  credential: 516,
  credential_aaguid_time: 65,
  credential_lookup: 93,
  credential_pkey: 33,
  credential_rp_status: 1,
  credential_rp_time: 33,
  credential_status: 1,
  credential_user_handle: 1,
  credential_user_hash: 44,
  user_handle: 168,
  user_handle_audit_uid: 41,
  user_handle_hash: 44,
  user_handle_pkey: 103,
};

/** The columns that a sign-in sets. */
const SIGN_IN =
  'sign_count = 1, backed_up = FALSE, last_used_at = now(), binding_mac = substring(sha256(binding_mac) FOR 20)';
/** Statements that sign all users in. Each of them changes at most one row of a page. */
const TURNS = 200;

let database: TestDataSource;
beforeEach(async () => {
  database = await openTestDataSource();
});
afterEach(() => database.close());

/**
 * Loads users with one passkey each, in the order of their registration: keys of ES256, and the models and lengths of
 * credential ids that websites see. Every value follows from the number of the user, so the bytes are always the same.
 */
const load = (userId: string): Promise<unknown> =>
  database.sql(`
    INSERT INTO user_handle (rp_id, user_id, handle, created_at, audit_uid, seal)
      SELECT 'login.example.com', ${userId}, sha256(('h' || i)::bytea), to_timestamp(1.7e9 + i * 30), md5('a' || i)::uuid,
          substring(sha256(('s' || i)::bytea) FOR 20)
        FROM generate_series(1, ${String(USERS)}) AS i;
    WITH model AS (
      SELECT * FROM (VALUES
        (0, 8, 'fbfc3007-154e-4ecc-8c0b-6e020557d7bd'::uuid, 'iCloud Keychain', 20),
        (9, 14, 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4', 'Google Password Manager', 32),
        (15, 16, '08987058-cadc-4b81-b6e1-30de50dcbe96', 'Windows Hello', 32),
        (17, 17, 'bada5566-a7aa-401f-bd96-45619a55120d', '1Password', 32),
        (18, 18, 'd548826e-79b4-db40-a3d8-11116f7e8349', 'Bitwarden', 16),
        (19, 19, 'cb69481e-8ff7-4039-93ec-0a2729a154a8', 'YubiKey 5 Series', 64)) AS of_twenty (first, last, aaguid, name, bytes))
    INSERT INTO credential (rp_id, id, user_id, credential_id, public_key, algorithm, aaguid, name, status, status_changed_at,
        attachment, transports, discoverable, backup_eligible, backed_up, user_verified, attestation_format, attestation_trust,
        sign_count, created_at, created_by, version, binding_mac)
      SELECT 'login.example.com', (lpad(to_hex((1.7e12 + i * 30000)::bigint), 12, '0') || '7' || left(md5('i' || i), 19))::uuid,
        ${userId}, substring(sha512(('c' || i)::bytea) FOR bytes), sha512(('k' || i)::bytea) || decode(repeat('00', 13), 'hex'), -7,
        aaguid, name, 'active', to_timestamp(1.7e9 + i * 30), 'platform', '{hybrid,internal}', TRUE, TRUE, TRUE, TRUE, 'none',
        'none', 0, to_timestamp(1.7e9 + i * 30), 'spiffe://example.com/ns/prod/auth-service', 1,
        substring(sha256(('m' || i)::bytea) FOR 20)
        FROM generate_series(1, ${String(USERS)}) AS i
          JOIN model ON ('x' || left(md5('g' || i), 6))::bit(24)::integer % 20 BETWEEN first AND last ORDER BY i`);

/**
 * Waits until PostgreSQL may use the space of the rows that a sign-in has replaced. A snapshot in this database keeps it from
 * that, such as the one of autovacuum's ANALYZE, and so does a transaction of any database that began to write before.
 */
async function waitForOthers(): Promise<void> {
  const [now] = await database.sql<{ next: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next');
  await until(async () => {
    const [row] = await database.sql<{ free: boolean }>(
      `SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 AND NOT EXISTS (
         SELECT FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
           AND coalesce(datname, current_database()) = current_database()) AS free`,
      [now!.next],
    );
    return row!.free;
  });
}

/** Reads the bytes of each table and index for a user. */
async function measureBytes(): Promise<Record<string, number>> {
  const relations = await database.sql<{ name: string; bytes: number }>(
    `SELECT relname AS name, pg_relation_size(oid)::float8 / ${String(USERS)} AS bytes FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') AND relname ~ '^(credential|user_handle)' ORDER BY 1`,
  );
  return Object.fromEntries(relations.map(({ name, bytes }) => [name, bytes]));
}

const add = (bytes: Record<string, number>): number => Object.values(bytes).reduce((sum, each) => sum + each, 0);

describe('a user with one passkey', () => {
  it('takes no more of any table or index than its budget, where user ids are UUIDs', async () => {
    await load(UUID);
    const bytes = await measureBytes();
    expect(Object.keys(bytes)).toEqual(Object.keys(BUDGET));
    const over = Object.entries(BUDGET).filter(([name, most]) => bytes[name]! > most);
    expect(over.map(([name, most]) => ({ name, most, bytes: bytes[name] }))).toEqual([]);
    expect(add(bytes)).toBeLessThanOrEqual(1_105);
  });

  it('takes about 1,000 bytes where user ids are short, and no more after a sign-in', async () => {
    await load(SHORT);
    const before = add(await measureBytes());
    expect(before).toBeLessThanOrEqual(1_015);
    for (let turn = 1; turn <= TURNS; turn += 1) {
      const users = `SELECT ${SHORT} FROM generate_series(${String(turn)}, ${String(USERS)}, ${String(TURNS)}) AS i`;
      await waitForOthers();
      await database.sql(`UPDATE credential SET ${SIGN_IN} WHERE user_id = ANY (ARRAY(${users}))`);
    }
    expect(add(await measureBytes())).toBeLessThanOrEqual(before + 10);
  });
});
