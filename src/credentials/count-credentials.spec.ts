import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { until } from '../../test/support/until.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialEntity } from './credential.entity.js';

const [RP, USER] = ['a.example', 'u-1'];

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  await database.sql('TRUNCATE credential, user_handle');
  const user = { rpId: RP, userId: USER, handle: randomBytes(32), createdAt: new Date() };
  await database.dataSource.getRepository(UserHandleEntity).insert(user);
});
afterAll(() => database.close());

const insertCredential = (changed: Partial<CredentialEntity>): Promise<unknown> =>
  database.dataSource.getRepository(CredentialEntity).insert(makeCredentialRow({ rpId: RP, userId: USER, ...changed }));

async function count(rpId: string, userId: string): Promise<number> {
  const sql = 'SELECT count_credentials($1, $2) AS counted';
  const [row] = await database.dataSource.query<[{ counted: number }]>(sql, [rpId, userId]);
  return row.counted;
}

describe('count_credentials', () => {
  it('counts the credentials of a user that are not revoked', async () => {
    expect(await count(RP, USER)).toBe(0);
    for (const status of ['active', 'suspended', 'revoked'] as const) await insertCredential({ status });
    await insertCredential({ rpId: 'b.example' });
    await insertCredential({ userId: 'u-2' });
    expect([await count(RP, USER), await count('b.example', USER), await count(RP, 'u-2')]).toEqual([2, 1, 1]);
  });

  it('sees what a registration committed while the same statement waited for its lock', async () => {
    const registration = database.dataSource.createQueryRunner();
    await registration.startTransaction();
    await registration.query('SELECT FROM user_handle WHERE rp_id = $1 AND user_id = $2 FOR UPDATE', [RP, USER]);
    const counting = database.dataSource.query<{ counted: number; seen: number }[]>(
      `WITH locked AS MATERIALIZED (SELECT * FROM user_handle WHERE rp_id = $1 AND user_id = $2 FOR UPDATE)
       SELECT count_credentials(rp_id, user_id) AS counted,
              (SELECT count(*)::integer FROM credential c WHERE c.rp_id = l.rp_id AND c.user_id = l.user_id) AS seen FROM locked l`,
      [RP, USER],
    );
    await until(async () => (await database.sql('SELECT FROM pg_locks WHERE NOT granted')).length > 0);
    await registration.manager.insert(CredentialEntity, makeCredentialRow({ rpId: RP, userId: USER }));
    await registration.commitTransaction();
    await registration.release();
    expect(await counting).toEqual([{ counted: 1, seen: 0 }]);
  });
});
