import 'reflect-metadata';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSealKeys, makeSeals } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { BindingKeyCheck, hasMatchingKey } from './binding-key-check.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';

Logger.overrideLogger(false);

let database: TestDataSource;
let bindings: CredentialBindings;
let check: BindingKeyCheck;
let register: { missingKey: string | undefined };

beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  await database.sql('TRUNCATE credential');
  register = { missingKey: undefined };
  bindings = new CredentialBindings(makeSeals(), new FakeAudit().refusals);
  check = new BindingKeyCheck(database.dataSource.getRepository(CredentialEntity), bindings, register);
});
afterAll(() => database.close());

/** Registers credentials that are newer than all before. */
async function registerRows(count: number, by = bindings): Promise<void> {
  const sealed = Array.from({ length: count }, () => by.seal(makeCredentialRow({})));
  await database.dataSource.getRepository(CredentialEntity).insert(sealed);
}
const createOtherBindings = (): CredentialBindings =>
  new CredentialBindings(makeSeals(makeSealKeys(99)), new FakeAudit().refusals);
const isKeyMatching = (): boolean | undefined => check.sample && hasMatchingKey(check.sample);
const alterRows = (count: number): Promise<unknown> =>
  database.sql(
    `UPDATE credential SET status = 'revoked' WHERE id IN (SELECT id FROM credential ORDER BY id LIMIT $1)`,
    [count],
  );

describe('the binding key', () => {
  it('is not known to match before it was tried', () => {
    expect(isKeyMatching()).toBeUndefined();
  });

  it('matches a table without rows, and rows that it sealed', async () => {
    await check.takeSampleIfDue();
    expect(check.sample).toEqual({ rows: 0, failed: 0 });
    expect(isKeyMatching()).toBe(true);
    await registerRows(3);
    bindings.failures += 1;
    await check.takeSampleIfDue();
    expect(check.sample).toEqual({ rows: 3, failed: 0 });
  });

  it('does not match rows that another key sealed', async () => {
    await registerRows(3, createOtherBindings());
    await check.takeSampleIfDue();
    expect([check.sample, isKeyMatching()]).toEqual([{ rows: 3, failed: 3 }, false]);
  });

  it('that is wrong does not become right by the rows that it seals', async () => {
    await registerRows(64, createOtherBindings());
    await registerRows(100);
    await check.takeSampleIfDue();
    expect(check.sample).toEqual({ rows: 64, failed: 64 });
  });

  it('that is right stays right beside rows that a wrong one sealed', async () => {
    await registerRows(64);
    await registerRows(100, createOtherBindings());
    await check.takeSampleIfDue();
    expect(isKeyMatching()).toBe(true);
  });

  it.each([
    [5, true],
    [6, false],
  ])('of ten rows, %i of which were changed by SQL, matches: %s', async (changed, expected) => {
    await registerRows(10);
    await alterRows(changed);
    await check.takeSampleIfDue();
    expect(isKeyMatching()).toBe(expected);
  });

  it('does not match while another replica seals with a key that is missing here', async () => {
    await registerRows(3);
    await check.takeSampleIfDue();
    register.missingKey = '3fa29b1c';
    expect(check.sample).toEqual({ rows: 3, failed: 0, missingKey: '3fa29b1c' });
    expect(isKeyMatching()).toBe(false);
    register.missingKey = undefined;
    expect(isKeyMatching()).toBe(true);
  });

  it('is tried again after a row failed in use and while it does not match, but not at each turn', async () => {
    await registerRows(3);
    await check.takeSampleIfDue();
    await alterRows(3);
    await check.takeSampleIfDue();
    expect(check.sample).toEqual({ rows: 3, failed: 0 });
    const [row] = await database.dataSource.getRepository(CredentialEntity).find({ take: 1 });
    expect(await bindings.verifyRow(makeAuthorizedContext(), row!)).toBe(false);
    await check.takeSampleIfDue();
    expect(isKeyMatching()).toBe(false);
    await database.sql("UPDATE credential SET status = 'active'");
    await check.takeSampleIfDue();
    expect(isKeyMatching()).toBe(true);
  });
});
