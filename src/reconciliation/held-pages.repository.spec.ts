import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import {
  CREDENTIAL_PAGE,
  HANDLE_PAGE,
  LOG_PAGES,
  MISSING_AMONG,
  PAGE_ROWS,
  RELYING_PARTY_PAGE,
} from './held-pages.repository.js';
import { SETTINGS } from './walk-page.js';

const CREDENTIALS = 4_000;
const SIGN_INS = 20;
const RENAMES = 5_000;
/** Sign-ins that are pending. */
const PENDING = 300;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
/** A credential that somebody has renamed very often. */
const BUSY = '00000000-0001-7000-8000-000000000000';

let database: TestDataSource;
let session: pg.Client;
beforeAll(async () => {
  database = await openTestDataSource();
  const id = (n: string): string => `('00000000-0001-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`;
  const user = (n: string): string => `md5('u' || ${n})::uuid`;
  const event = (n: string, month = `(${n} % 4)`): string =>
    `(lpad(to_hex((extract(epoch FROM date_trunc('month', now()) + ${month} * interval '1 month') * 1000)::bigint + ${n}), 12, '0')
      || '7' || substring(md5(${n}::text) FOR 3) || '8' || left(md5('e' || ${n}), 15))::uuid`;
  await database.sql(`
    INSERT INTO credential (rp_id, id, user_id, credential_id, public_key, algorithm, aaguid, name, status, status_changed_at,
        transports, backup_eligible, backed_up, user_verified, attestation_format, attestation_trust, sign_count, created_at,
        created_by, binding_mac, version)
      SELECT 'rp', ${id('n')}, 'u' || n, decode(md5(n::text), 'hex'), '', -7, gen_random_uuid(), 'n', 'active', now(),
        '{}', TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', '', 1 FROM generate_series(0, ${String(CREDENTIALS)} - 1) AS n;
    INSERT INTO user_handle (rp_id, user_id, handle, audit_uid, created_at)
      SELECT rp_id, user_id, sha256(user_id::bytea), ${user('substring(user_id FROM 2)')}, now() FROM credential;
    INSERT INTO relying_party (rp_id, name, origins, enabled, policy, version, created_at, updated_at)
      SELECT 'rp' || n, 'n', '{}', TRUE, '{}', 1, now(), now() FROM generate_series(1, 50) AS n;
    INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id, credential_uid, credential_id)
      SELECT ${event('n')}, '{"unmapped":{"credential_version":1}}', '\\x'::bytea, 'credential.register', 'success', 'rp',
        ${user('n')}, ${id('n')}, 'c' FROM generate_series(0, ${String(CREDENTIALS)} - 1) AS n
      UNION ALL
      SELECT ${event(`(${String(CREDENTIALS)} + n)`)}, '{}', '\\x'::bytea, 'credential.verify', 'success', 'rp',
        ${user(`(n % ${String(CREDENTIALS)})`)}, ${id(`n % ${String(CREDENTIALS)}`)}, 'c'
        FROM generate_series(1, ${String(CREDENTIALS * SIGN_INS)}) AS n
      UNION ALL
      SELECT ${event(`(1000000 + n)`)}, '{}', '\\x'::bytea, 'credential.rename', 'success', 'rp', ${user('0')}, '${BUSY}', 'c'
        FROM generate_series(1, ${String(RENAMES)}) AS n;
    INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash)
      SELECT row_number() OVER (ORDER BY id) - 1, id, sha256('') FROM audit_event;
    INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id, credential_uid, credential_id)
      SELECT ${event(`(2000000 + n)`)}, '{}', sha256(''), 'credential.verify', 'success', 'rp', ${user('n')}, ${id('n')}, 'c'
        FROM generate_series(1, ${String(PENDING)}) AS n;
    INSERT INTO audit_pending (event_id, leaf_hash)
      SELECT id, leaf_hash FROM audit_event e WHERE NOT EXISTS (SELECT FROM audit_leaf WHERE event_id = e.id);
    ANALYZE`);
  session = new pg.Client({ connectionString: database.url });
  await session.connect();
});
afterAll(async () => {
  await session.end();
  await database.close();
});

/** The months that are archived, a row for each, and the events of the last second, which are read if one is needed. */
const WITHOUT_INDEX = ['audit_archive', 'audit_pending'];

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: Plan[];
}

/** Counts the rows of tables that a statement reads, whether or not it keeps them. */
async function countRowsRead(text: string, values: unknown[]): Promise<number> {
  await session.query(`BEGIN; ${SETTINGS}`);
  const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
    values,
  );
  await session.query('ROLLBACK');
  let read = 0;
  const count = (plan: Plan): void => {
    const table = plan['Relation Name'];
    if (table !== undefined && !WITHOUT_INDEX.includes(table)) {
      expect(plan['Node Type']).not.toBe('Seq Scan');
      const removed = (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0);
      read += Math.round((plan['Actual Rows'] + removed) * plan['Actual Loops']);
    }
    plan.Plans?.forEach(count);
  };
  count(rows[0]!['QUERY PLAN'][0].Plan);
  return read;
}

/**
 * Each pending event is read once. The newest renames of the busy credential count, and each partition may give a row that is not
 * taken.
 */
const SLACK = PENDING + 200;

describe('a page reads a bounded number of rows', () => {
  // The row, its handle, its event and the leaf of that.
  it.each([
    ['of credentials', CREDENTIAL_PAGE, FIRST_ID, 4 * PAGE_ROWS],
    ['of users', HANDLE_PAGE, FIRST_ID, PAGE_ROWS],
    ['of relying parties', RELYING_PARTY_PAGE, '', 50],
  ])('%s', async (_, { text }, first, most) => {
    expect(await countRowsRead(text, [first, PAGE_ROWS])).toBeLessThanOrEqual(most + SLACK);
  });

  it.each(LOG_PAGES)('of the events %s', async (type, { text }) => {
    const events = type === 'credential.register' || type === 'credential.rename' ? PAGE_ROWS : 0;
    expect(await countRowsRead(text, [FIRST_ID, PAGE_ROWS])).toBeLessThanOrEqual(2 * events + SLACK);
  });

  it('of given rows', async () => {
    const given = Array.from(
      { length: PAGE_ROWS },
      (_, n) => `00000000-0001-7000-8000-${n.toString(16).padStart(12, '0')}`,
    );
    const values = [given, given, given.map(() => 'rp'), given.map(() => null)];
    expect(await countRowsRead(MISSING_AMONG.credential.text, values)).toBeLessThanOrEqual(PAGE_ROWS + SLACK);
  });
});

it('a page of credentials has the newest events of a credential that has very many', async () => {
  const [page] = await CREDENTIAL_PAGE.run(database.dataSource, [FIRST_ID, 1]);
  expect(page).toMatchObject({ next: BUSY, walked: 1, held: [{ row: { id: BUSY }, changes: { length: 32 } }] });
});

it('the index that finds events by their rows has no authentications', async () => {
  const [size] = await database.sql<{ rows: number }>(
    `SELECT sum(reltuples)::integer AS rows FROM pg_class JOIN pg_index ON indexrelid = oid
      WHERE indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_event'::regclass)
        AND pg_get_indexdef(oid) LIKE '%COALESCE%' AND relkind = 'i' AND reltuples > 0`,
  );
  expect(size!.rows).toBe(CREDENTIALS + RENAMES);
});
