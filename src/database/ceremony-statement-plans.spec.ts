import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import {
  makeAcceptInput,
  makeEventRow,
  makeRefuseInput,
  makeRegistrationInput,
  NOW,
  openHotPathDatabase,
} from '../../test/support/ceremony-rows.js';
import { CEREMONY_STATEMENTS } from '../../test/support/ceremony-statements.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { makeNewUser } from '../../test/support/users.js';
import { READ_FOR_AUTHENTICATION, READ_FOR_REGISTRATION } from '../challenges/challenge.repository.js';
import { RECORD_LIMIT } from '../challenges/user-limits.repository.js';
import { ACCEPT_AUTHENTICATION, ACCEPT_REGISTRATION, ACCEPT_SUSPECT } from '../credentials/answer.repository.js';
import { REFUSE, REFUSE_SUSPECT } from '../credentials/refused-answer.repository.js';
import { LOAD } from '../credentials/loaded-answer.repository.js';
import { CREDENTIAL_CHANGE, CREDENTIAL_COMPROMISE } from '../signals/event-types.js';
import { nameStatement } from './named-statement.js';
import type { RowsStatement } from './rows-statement.js';

/** Spent challenges, one each second around a time, in SQL. The periods of that time have been made. */
const insertSpentSql = (count: number, at: string): string =>
  `INSERT INTO spent_challenge
     SELECT (lpad(to_hex((extract(epoch FROM ${at} + i * interval '1 second') * 1000)::bigint), 12, '0')
              || left(md5(i::text), 20))::uuid FROM generate_series(1, ${String(count)}) i`;

/** A stream that hears of everything, in SQL. */
const insertStreamSql = `INSERT INTO signal_stream (id, owner, aud, events_requested, events_delivered, delivery_method, status, created_at, updated_at, active_at)
     SELECT gen_random_uuid(), 'o', 'o', types, types, 'urn:ietf:rfc:8936', 'enabled', now(), now(), now()
       FROM (VALUES (ARRAY['${CREDENTIAL_CHANGE}', '${CREDENTIAL_COMPROMISE}'])) AS given (types)`;

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
afterAll(() => database.close());

describe('plans do not grow with the tables:', () => {
  const HOT_TABLES =
    /^(credential|relying_party|user_handle|audit_event.*|spent_challenge.*|signal|signal_excluded_subject)$/;

  beforeAll(async () => {
    await database.sql(`
      INSERT INTO credential SELECT 'rp' || i % 5, gen_random_uuid(), 'u' || i / 2, decode(md5(i::text), 'hex'), '', -7,
        gen_random_uuid(), 'n', 'active', NULL, now(), NULL, '{}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, ''
        FROM generate_series(1, 50000) i;
      INSERT INTO relying_party SELECT 'rp' || i, 'n', '{}', TRUE, '{}', 1, now(), now() FROM generate_series(1, 5000) i;
      SELECT spent_challenge_make_periods(now());
      ${insertSpentSql(50_000, 'now()')};
      INSERT INTO user_handle SELECT 'rp' || i % 5, 'u' || i, '', now() FROM generate_series(1, 50000) i;
      ${insertStreamSql};
      INSERT INTO signal_excluded_subject (stream_id, rp_id, user_id)
        SELECT id, 'rp' || i % 5, 'u' || i FROM signal_stream, generate_series(1, 50000) i;
      INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id)
        SELECT (lpad(to_hex((extract(epoch FROM date_trunc('month', now()) + i % 150 * interval '1 day') * 1000)::bigint), 12, '0')
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
    { name: READ_FOR_AUTHENTICATION.name, indexes: ['audit_event_refused'] },
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
    const ofEvents = plan.filter((node) => node['Relation Name']?.startsWith('audit_event'));
    expect(ofEvents.map((node) => node['Node Type'])).not.toContain('Bitmap Heap Scan');
  });

  it('this test notices a plan that would grow', async () => {
    const { text } = nameStatement('slow', 'SELECT * FROM credential WHERE name = $1::text');
    expect(await listScans(text, 1)).toEqual([['credential', 'Seq Scan']]);
  });
});

describe('a plan that was made while the tables were empty', () => {
  const USERS = 20_000;
  const id = randomUUID();
  const credentialId = Buffer.from('5'.padStart(32, '0'), 'hex');
  const u5 = { rpId: 'a.example', userId: 'u5' };
  const failed = makeEventRow({ outcome: 'failure', ...u5 }, 'stand-in');

  const signal = {
    ...{
      kind: 'compromise' as const,
      ...u5,
      name: 'n',
      attachment: null,
      aaguid: randomUUID(),
      initiator: 'system' as const,
    },
    ...{ reason: 'r', txn: 't', happenedAt: NOW },
  };

  const asked = [
    captureRun(READ_FOR_AUTHENTICATION, { ...u5, standIn: 'stand-in', now: NOW }),
    captureRun(READ_FOR_REGISTRATION, { ...u5, newUser: makeNewUser(), now: NOW }),
    captureRun(LOAD, { challenge: u5, credentialId }),
    captureRun(
      ACCEPT_AUTHENTICATION,
      makeAcceptInput(makeCredentialRow({ id, version: 0, bindingMac: Buffer.alloc(0) }), 1),
    ),
    captureRun(ACCEPT_REGISTRATION, makeRegistrationInput(makeCredentialRow(u5), Buffer.alloc(0))),
    captureRun(REFUSE, makeRefuseInput({ event: failed })),
    captureRun(
      ACCEPT_SUSPECT,
      makeAcceptInput(makeCredentialRow({ id, version: 0, bindingMac: Buffer.alloc(0) }), 1, { signal }),
    ),
    captureRun(REFUSE_SUSPECT, makeRefuseInput({ event: failed, signal })),
  ];

  /** Captures the text and the arguments that a statement would send. */
  function captureRun<Row>(
    statement: RowsStatement<Row, unknown>,
    row: Row,
  ): { name: string; text: string; arguments: Promise<string> } {
    const sent = new Promise<string>((resolve) => {
      const query = (_: unknown, values: unknown[]): Promise<never> => {
        resolve(values.map((value) => pg.escapeLiteral(String(value))).join());
        return Promise.resolve([] as never);
      };
      void statement.run({ query } as never, [row]);
    });
    return { name: statement.name, text: statement.text, arguments: sent };
  }

  it('reads no more when they are full and not yet analyzed', async () => {
    const hot = await openHotPathDatabase();
    const session = hot.dataSource.createQueryRunner();
    await session.query('SET plan_cache_mode = force_generic_plan');
    for (const [n, { text, arguments: values }] of asked.entries()) {
      await session.query(`PREPARE hot_${String(n)} AS ${text}`);
      await session.query(`EXPLAIN EXECUTE hot_${String(n)}(${await values})`);
      // The functions of the database plan their own statements when they run.
      await session.query('BEGIN');
      await session.query(`INSERT INTO user_handle VALUES ('a.example', 'u5', '', now())`);
      await session.query(`EXECUTE hot_${String(n)}(${await values})`);
      await session.query('ROLLBACK');
    }
    await hot.sql(`
      INSERT INTO credential SELECT 'a.example', CASE i WHEN 5 THEN '${id}' ELSE gen_random_uuid() END, 'u' || i,
        decode(lpad(i::text, 32, '0'), 'hex'), '', -7, gen_random_uuid(), 'n', 'active', NULL, now(), NULL, '{}', TRUE, TRUE,
        TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, '' FROM generate_series(1, ${String(USERS)}) i;
      INSERT INTO user_handle SELECT 'a.example', 'u' || i, '', now() FROM generate_series(1, ${String(USERS)}) i;
      ${insertStreamSql};
      INSERT INTO signal_excluded_subject SELECT id, 'a.example', 'x' || i FROM signal_stream, generate_series(1, ${String(USERS)}) i;
      ${insertSpentSql(USERS, "TIMESTAMPTZ '2026-06-30T06:00Z'")}`);
    for (const [n, { name, arguments: values }] of asked.entries()) {
      await session.query('BEGIN');
      const [row] = (await session.query(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE hot_${String(n)}(${await values})`,
      )) as { 'QUERY PLAN': { Plan: Record<string, number> }[] }[];
      await session.query('ROLLBACK');
      const { Plan: plan } = row!['QUERY PLAN'][0]!;
      const read = plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
      expect({ name, rows: plan['Actual Rows'], grows: read >= 150 }).toEqual({ name, rows: 1, grows: false });
    }
    await session.release();
    await hot.close();
  });
});
