import 'reflect-metadata';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSealKeys, makeSeals } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { CredentialSample } from './credential-sample.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';

Logger.overrideLogger(false);

let database: TestDataSource;
let bindings: CredentialBindings;
let sample: CredentialSample;

beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  await database.sql('TRUNCATE credential');
  bindings = new CredentialBindings(makeSeals(), new FakeAudit().refusals);
  sample = new CredentialSample(database.dataSource.getRepository(CredentialEntity), bindings);
});
afterAll(() => database.close());

/** Registers credentials that are newer than all before. */
async function registerRows(count: number, by = bindings): Promise<void> {
  const sealed = Array.from({ length: count }, () => by.seal(makeCredentialRow({})));
  await database.dataSource.getRepository(CredentialEntity).insert(sealed);
}
const createOtherBindings = (): CredentialBindings =>
  new CredentialBindings(makeSeals(makeSealKeys(99)), new FakeAudit().refusals);
const alterRows = (count: number): Promise<unknown> =>
  database.sql(
    `UPDATE credential SET status = 'revoked' WHERE id IN (SELECT id FROM credential ORDER BY id LIMIT $1)`,
    [count],
  );

describe('a sample of the credential rows', () => {
  it('is not known before it was taken', () => {
    expect(sample.latest).toBeUndefined();
  });

  it('finds nothing in a table without rows, and in rows as the service wrote them', async () => {
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 0, failed: 0 });
    await registerRows(3);
    bindings.failures += 1;
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 3, failed: 0 });
  });

  it('counts rows that SQL changed, and rows that another key sealed', async () => {
    await registerRows(10);
    await alterRows(6);
    await registerRows(3, createOtherBindings());
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 13, failed: 9 });
  });

  it('is of the 64 oldest rows', async () => {
    await registerRows(64);
    await registerRows(100, createOtherBindings());
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 64, failed: 0 });
  });

  it('is taken again after a row failed in use and while one fails, but not at each turn', async () => {
    await registerRows(3);
    await sample.takeIfDue();
    await alterRows(1);
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 3, failed: 0 });
    const [row] = await database.dataSource.getRepository(CredentialEntity).find({ order: { id: 'ASC' }, take: 1 });
    expect(await bindings.verifyRow(makeAuthorizedContext(), row!)).toBe(false);
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 3, failed: 1 });
    await database.sql("UPDATE credential SET status = 'active'");
    await sample.takeIfDue();
    expect(sample.latest).toEqual({ rows: 3, failed: 0 });
  });
});
