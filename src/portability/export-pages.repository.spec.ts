import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { ExportPagesRepository } from './export-pages.repository.js';

interface Plan {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: Plan[];
}

let database: TestDataSource;
let rowsRead: number;
let statements: number;
let pages: ExportPagesRepository;

/** Runs each statement, and counts the rows that it reads. */
async function count(text: string, values: unknown[]): Promise<unknown> {
  const [plan] = await database.dataSource.query<{ 'QUERY PLAN': [{ Plan: Plan }] }[]>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
    values,
  );
  const add = (node: Plan): void => {
    if (node['Relation Name'] === 'credential')
      rowsRead += (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
    node.Plans?.forEach(add);
  };
  add(plan!['QUERY PLAN'][0].Plan);
  statements += 1;
  return database.dataSource.query(text, values);
}

/** SQL: credentials with so many ids in each of some times. */
const insertSql = (rpId: string, perTime: number, times: number, first: number): string => `
  INSERT INTO credential SELECT '${rpId}', (lpad(to_hex(${String(first)} + t), 8, '0') || right(gen_random_uuid()::text, 28))::uuid,
      'u' || i, uuid_send(gen_random_uuid()), '', -7, gen_random_uuid(), 'n', 'active', NULL, now(), NULL,
      '{}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, ''
    FROM generate_series(1, ${String(times)}) t, generate_series(1, ${String(perTime)}) i`;

beforeAll(async () => {
  database = await openTestDataSource();
  await database.sql(`
    ${insertSql('rp', 3, 200, 1)};
    ${insertSql('rp', 500, 2, 150)};
    ${insertSql('rp', 50, 4, 400)};
    ${insertSql('rare', 1, 50, 1)};
    ${insertSql('other', 5, 400, 1)};
    INSERT INTO user_handle (rp_id, user_id, handle, created_at) SELECT DISTINCT rp_id, user_id, sha256((rp_id || user_id)::bytea), now() FROM credential;
    ANALYZE`);
  pages = new ExportPagesRepository({ query: count as never });
});
afterAll(() => database.close());

async function readAll(rpId: string, limit: number, last?: string): Promise<string[]> {
  [rowsRead, statements] = [0, 0];
  const end = last ?? (await pages.findLast(rpId))!;
  const found: string[] = [];
  for await (const page of pages.readPages(rpId, end, limit)) {
    expect(page.length).toBeLessThanOrEqual(limit);
    for (const { credential, user } of page) {
      expect(user).toMatchObject({ rpId, userId: credential.userId });
      found.push(credential.id);
    }
  }
  return found;
}

const listIds = async (rpId: string): Promise<string[]> =>
  (
    await database.dataSource.query<{ id: string }[]>(`SELECT id FROM credential WHERE rp_id = $1 ORDER BY id`, [rpId])
  ).map(({ id }) => id);

describe('the pages of an export', () => {
  it.each([
    ['rp', 100],
    ['rp', 20],
    ['rare', 7],
    ['rare', 1],
    ['other', 300],
    ['other', 2_000],
  ])('have every credential of %s once, in the order of the ids, %d a page at most', async (rpId, limit) => {
    expect(await readAll(rpId, limit)).toEqual(await listIds(rpId));
  });

  it('end at the given credential, also within a time that has many', async () => {
    const ids = await listIds('rp');
    for (const index of [0, 1, 700, 1_001, ids.length - 2]) {
      expect(await readAll('rp', 100, ids[index])).toHaveLength(index + 1);
    }
  });

  it('are none for a relying party without credentials', async () => {
    expect(await pages.findLast('nobody')).toBeUndefined();
  });

  it('read each row about twice, and those of others only where they stand among many', async () => {
    await readAll('rp', 100);
    expect(rowsRead).toBeLessThan(2.6 * 1_800);
    expect(statements).toBeLessThan(2.6 * (1_800 / 100));
    await readAll('rare', 50);
    expect(rowsRead).toBeLessThan(200);
  });
});
