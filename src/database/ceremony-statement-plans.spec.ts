import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { makeIssueInput, CALLER, openHotPathDatabase, makeAcceptInput } from '../../test/support/ceremony-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { ACCEPT_AUTHENTICATION, REDEEM } from '../credentials/answer.repository.js';
import { CEREMONY_STATEMENTS } from '../../test/support/ceremony-statements.js';
import { ISSUE_AUTHENTICATION, ISSUE_REGISTRATION } from '../challenges/challenge.repository.js';
import { nameStatement } from './named-statement.js';
import type { RowsStatement } from './rows-statement.js';
import { RECORD_LIMIT } from '../challenges/user-limits.repository.js';

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
afterAll(() => database.close());

describe('plans do not grow with the tables:', () => {
  const HOT_TABLES = /^(credential|challenge|user_handle|audit_event.*)$/;

  beforeAll(async () => {
    await database.sql(`
      INSERT INTO credential SELECT 'rp' || i % 5, gen_random_uuid(), 'u' || i / 2, decode(md5(i::text), 'hex'), '', -7,
        gen_random_uuid(), 'n', 'active', NULL, now(), NULL, '{}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, ''
        FROM generate_series(1, 50000) i;
      INSERT INTO challenge SELECT gen_random_uuid(), 'rp' || i % 5, 'u' || i, 'authentication', NULL, '', 'x', FALSE, NULL, now()
        FROM generate_series(1, 50000) i;
      INSERT INTO user_handle SELECT 'rp' || i % 5, 'u' || i, '', now() FROM generate_series(1, 50000) i;
      INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id)
        SELECT (lpad(to_hex((extract(epoch FROM now() + i % 150 * interval '1 day') * 1000)::bigint), 12, '0')
                || left(md5(i::text), 20))::uuid, '', '',
          (ARRAY['challenge.issue', 'credential.verify', 'credential.verify', 'challenge.limit'])[1 + i % 4],
          (ARRAY['success', 'success', 'failure', 'failure'])[1 + i % 4], 'rp' || i % 3, 'u' || i % 1000
        FROM generate_series(1, 50000) i;
      ANALYZE`);
  });

  interface Plan {
    readonly 'Node Type': string;
    readonly 'Relation Name'?: string;
    readonly 'Index Name'?: string;
    readonly Plans?: Plan[];
  }
  const flattenPlan = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flattenPlan)];

  async function explainPlan(text: string, parameters: number): Promise<Plan[]> {
    return database.dataSource.transaction(async (manager) => {
      await manager.query('SET LOCAL plan_cache_mode = force_generic_plan');
      // All parameters are NULL, and with pruning no partition would be left to scan.
      await manager.query('SET LOCAL enable_partition_pruning = off');
      await manager.query(`PREPARE explained AS ${text}`);
      const nulls = Array.from({ length: parameters }, () => 'NULL').join();
      const [row] = await manager.query<{ 'QUERY PLAN': { Plan: Plan }[] }[]>(
        `EXPLAIN (FORMAT JSON) EXECUTE explained(${nulls})`,
      );
      await manager.query('DEALLOCATE explained');
      return flattenPlan(row!['QUERY PLAN'][0]!.Plan);
    });
  }

  async function listScans(text: string, parameters: number): Promise<[string, string][]> {
    return (await explainPlan(text, parameters))
      .filter((node) => HOT_TABLES.test(node['Relation Name'] ?? ''))
      .map((node) => [node['Relation Name']!, node['Node Type']]);
  }

  it.each(
    CEREMONY_STATEMENTS.map(({ statement, parameters }) => [statement.name, statement.text, parameters] as const),
  )('%s reads only indexes', async (_, text, parameters) => {
    const scans = await listScans(text, parameters);
    expect(scans.length).toBeGreaterThan(0);
    expect(scans.filter(([, node]) => node === 'Seq Scan')).toEqual([]);
  });

  it.each([
    { name: ISSUE_AUTHENTICATION.name, indexes: ['audit_event_issued', 'audit_event_refused'] },
    { name: ISSUE_REGISTRATION.name, indexes: ['audit_event_issued'] },
    { name: RECORD_LIMIT.name, indexes: ['audit_event_refused'] },
  ])('$name counts by indexes that contain nothing else, in their order', async ({ name, indexes }) => {
    const { statement, parameters } = CEREMONY_STATEMENTS.find((hot) => hot.statement.name === name)!;
    const plan = await explainPlan(statement.text, parameters);
    const read = await database.sql<{ name: string }>(
      `SELECT DISTINCT inhparent::regclass::text AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid
        WHERE relkind = 'i' AND relname = ANY ($1) ORDER BY 1`,
      [plan.flatMap(({ 'Index Name': index }) => (index === undefined ? [] : [index]))],
    );
    expect(read.map((index) => index.name)).toEqual(indexes);
    expect(plan.map((node) => node['Node Type'])).not.toContain('Bitmap Heap Scan');
  });

  it('this test notices a plan that would grow', async () => {
    const { text } = nameStatement('slow', 'SELECT * FROM credential WHERE name = $1::text');
    expect(await listScans(text, 1)).toEqual([['credential', 'Seq Scan']]);
  });
});

describe('a plan that was made while the tables were empty', () => {
  const USERS = 20_000;
  const [id, challengeId] = [randomUUID(), randomUUID()];
  const credentialId = Buffer.from('5'.padStart(32, '0'), 'hex');

  const asked = [
    captureRun(ISSUE_AUTHENTICATION, makeIssueInput({ userId: 'u5' })),
    captureRun(REDEEM, { challengeId, spiffeId: CALLER, relyingParties: null, credentialId }),
    captureRun(ACCEPT_AUTHENTICATION, makeAcceptInput({ rpId: 'a.example', id, bindingMac: Buffer.alloc(0) }, 1)),
  ];

  /** Captures the text and the arguments that a statement would send. */
  function captureRun<Row>(
    statement: RowsStatement<Row, unknown>,
    row: Row,
  ): { text: string; arguments: Promise<string> } {
    const sent = new Promise<string>((resolve) => {
      const query = (_: unknown, values: unknown[]): Promise<never> => {
        resolve(values.map((value) => pg.escapeLiteral(String(value))).join());
        return Promise.resolve([] as never);
      };
      void statement.run({ query } as never, [row]);
    });
    return { text: statement.text, arguments: sent };
  }

  it('reads no more when they are full and not yet analyzed', async () => {
    const hot = await openHotPathDatabase();
    const session = hot.dataSource.createQueryRunner();
    await session.query('SET plan_cache_mode = force_generic_plan');
    for (const [n, { text, arguments: values }] of asked.entries()) {
      await session.query(`PREPARE hot_${String(n)} AS ${text}`);
      await session.query(`EXPLAIN EXECUTE hot_${String(n)}(${await values})`);
    }
    await hot.sql(`
      INSERT INTO credential SELECT 'a.example', CASE i WHEN 5 THEN '${id}' ELSE gen_random_uuid() END, 'u' || i,
        decode(lpad(i::text, 32, '0'), 'hex'), '', -7, gen_random_uuid(), 'n', 'active', NULL, now(), NULL, '{}', TRUE, TRUE,
        TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, '' FROM generate_series(1, ${String(USERS)}) i;
      INSERT INTO user_handle SELECT 'a.example', 'u' || i, '', now() FROM generate_series(1, ${String(USERS)}) i;
      INSERT INTO challenge SELECT CASE i WHEN 5 THEN '${challengeId}' ELSE gen_random_uuid() END, 'a.example', 'u' || i,
        'authentication', 'payment', '', '${CALLER}', FALSE, NULL, now() FROM generate_series(1, ${String(USERS)}) i`);
    for (const [n, { arguments: values }] of asked.entries()) {
      const [row] = (await session.query(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE hot_${String(n)}(${await values})`,
      )) as { 'QUERY PLAN': { Plan: Record<string, number> }[] }[];
      const { Plan: plan } = row!['QUERY PLAN'][0]!;
      expect(plan['Actual Rows']).toBe(1);
      expect(plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!).toBeLessThan(150);
    }
    await session.release();
    await hot.close();
  });
});
