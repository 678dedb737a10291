import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NOW, openHotPathDatabase, SEAL } from '../../test/support/ceremony-rows.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { StatementRace } from '../../test/support/statement-race.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { makeNewUser } from '../../test/support/users.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import type { Queryable } from '../database/named-statement.js';
import { UUID } from '../http/validators.js';
import { READ_FOR_AUTHENTICATION, READ_FOR_REGISTRATION } from './challenge.repository.js';
import { UserHandleEntity } from './user-handle.entity.js';

let database: TestDataSource;
beforeAll(async () => {
  database = await openHotPathDatabase();
});
afterAll(() => database.close());

const users = () => database.dataSource.getRepository(UserHandleEntity);

async function insertCredential(changed: Partial<CredentialEntity> = {}): Promise<CredentialEntity> {
  const row = makeCredentialRow(changed);
  await database.dataSource.getRepository(CredentialEntity).insert(row);
  return row;
}

const describeCredential = ({ credentialId, transports }: CredentialEntity) => ({
  id: credentialId.toString('hex'),
  transports,
});

const makeAuthenticationInput = (userId: string, rpId = 'a.example') => ({
  rpId,
  userId,
  standIn: 'stand-in',
  now: NOW,
});
const makeRegistrationInput = (userId: string, rpId = 'a.example') => ({
  rpId,
  userId,
  newUser: makeNewUser(),
  now: NOW,
});

const readForAuthentication = (userId: string, rpId?: string) =>
  READ_FOR_AUTHENTICATION.run(database.dataSource, [makeAuthenticationInput(userId, rpId)]).then(([read]) => read);
const readForRegistration = (userId: string, rpId?: string) =>
  READ_FOR_REGISTRATION.run(database.dataSource, [makeRegistrationInput(userId, rpId)]).then(([read]) => read);

/** Inserts a credential of each status, and others with which the user has nothing to do. */
async function insertMany(userId: string) {
  const at = (seconds: number): Date => new Date(NOW.getTime() + seconds * 1_000);
  const oldest = await insertCredential({ userId, createdAt: at(-60), transports: [] });
  const used = await insertCredential({ userId, createdAt: at(-90), lastUsedAt: at(30) });
  const newest = await insertCredential({ userId, createdAt: at(60) });
  const suspended = await insertCredential({ userId, createdAt: at(0), status: 'suspended' });
  await insertCredential({ userId, status: 'revoked' });
  await insertCredential({ userId, rpId: 'b.example' });
  await insertCredential({ userId: 'another' });
  return { oldest, used, newest, suspended };
}

describe('READ_FOR_AUTHENTICATION', () => {
  it('returns the seal of the relying party and the active credentials, the most recently used or made first', async () => {
    const { oldest, used, newest } = await insertMany('u-signs-in');
    expect(await readForAuthentication('u-signs-in')).toEqual({
      n: 1,
      party_seal: SEAL,
      ...{ handle: null, audit_uid: null, user_seal: null },
      refusal_in_the_way: null,
      descriptors: [newest, used, oldest].map(describeCredential),
    });
  });

  it('returns no credentials for a user without any', async () => {
    expect(await readForAuthentication('nobody')).toMatchObject({ party_seal: SEAL, descriptors: null });
  });

  it('returns at most 64 credentials, those that were used last', async () => {
    const made = [];
    for (let n = 0; n < 70; n += 1) made.push(await insertCredential({ userId: 'u-many' }));
    const { descriptors } = (await readForAuthentication('u-many'))!;
    expect(descriptors).toEqual(made.toReversed().slice(0, 64).map(describeCredential));
  });

  it.each(['off.example', 'unknown.example'])('returns nothing for %s', async (rpId) => {
    expect(await readForAuthentication('u-1', rpId)).toBeUndefined();
  });

  it('gives each of many rows its own result, or none', async () => {
    const rows = [await insertCredential({ userId: 'many-1' }), await insertCredential({ userId: 'many-2' })];
    const results = await READ_FOR_AUTHENTICATION.run(database.dataSource, [
      makeAuthenticationInput('many-2'),
      makeAuthenticationInput('many-1', 'unknown.example'),
      makeAuthenticationInput('nobody'),
      makeAuthenticationInput('many-1'),
      makeAuthenticationInput('many-2'),
    ]);
    expect(results.map((result) => result?.descriptors?.map(({ id }) => id))).toEqual(
      [rows[1], undefined, undefined, rows[0], rows[1]].map((row) => row && [row.credentialId.toString('hex')]),
    );
    expect(results.map((result) => result !== undefined)).toEqual([true, false, true, true, true]);
  });
});

describe('READ_FOR_REGISTRATION', () => {
  it('returns the seal of the relying party, the user’s handle, and the credentials that are not revoked', async () => {
    const { oldest, used, newest, suspended } = await insertMany('u-registers');
    const read = await readForRegistration('u-registers');
    expect(read).toEqual({
      n: 1,
      party_seal: SEAL,
      handle: expect.any(Buffer),
      audit_uid: expect.stringMatching(UUID),
      user_seal: expect.any(Buffer),
      revocations: 0,
      descriptors: [newest, used, suspended, oldest].map(describeCredential),
    });
    expect(await users().findOneByOrFail({ userId: 'u-registers' })).toMatchObject({
      rpId: 'a.example',
      handle: read?.handle,
      auditUid: read?.audit_uid,
      seal: read?.user_seal,
      createdAt: NOW,
    });
  });

  it('makes a handle for a user once, and another one at another relying party', async () => {
    await database.sql(
      `INSERT INTO relying_party SELECT 'c.example', name, origins, TRUE, policy, 1, created_at, updated_at
         FROM relying_party WHERE rp_id = 'a.example'`,
    );
    const input = makeRegistrationInput('u-once');
    const [first] = await READ_FOR_REGISTRATION.run(database.dataSource, [input]);
    expect(first?.handle).toEqual(input.newUser.handle);
    expect((await readForRegistration('u-once'))?.handle).toEqual(input.newUser.handle);
    expect((await readForRegistration('u-once', 'c.example'))?.handle).not.toEqual(input.newUser.handle);
    expect(await users().countBy({ userId: 'u-once' })).toBe(2);
  });

  it.each(['off.example', 'unknown.example'])('returns nothing for %s, and makes no handle', async (rpId) => {
    expect(await readForRegistration('u-refused', rpId)).toBeUndefined();
    expect(await users().existsBy({ userId: 'u-refused' })).toBe(false);
  });

  it('gives each of many rows its own handle, or none', async () => {
    const known = (await readForRegistration('many-known'))?.handle;
    const inputs = [
      makeRegistrationInput('many-z'),
      makeRegistrationInput('many-a', 'off.example'),
      makeRegistrationInput('many-known'),
      makeRegistrationInput('many-b'),
    ];
    const results = await READ_FOR_REGISTRATION.run(database.dataSource, inputs);
    expect(results.map((result) => result?.handle)).toEqual([
      inputs[0]!.newUser.handle,
      undefined,
      known,
      inputs[3]!.newUser.handle,
    ]);
  });

  it.each<['ROLLBACK' | 'COMMIT']>([['ROLLBACK'], ['COMMIT']])(
    'gives a new user one handle for ever, however many requests begin at once, after a %s of another one',
    async (end) => {
      const race = await StatementRace.open(database);
      const userId = randomUUID();
      const sql = `INSERT INTO user_handle (rp_id, user_id, handle, created_at) VALUES ('a.example', $1, '\\x07', now())`;
      const run = (through: Queryable) => READ_FOR_REGISTRATION.run(through, [makeRegistrationInput(userId)]);
      const results = await race.runBehind({ sql, values: [userId], end }, Array<typeof run>(25).fill(run));
      await race.close();
      const { handle } = await users().findOneByOrFail({ userId });
      expect(results.flat().map((result) => result?.handle)).toEqual(Array(25).fill(handle));
      expect(handle.equals(Buffer.of(7))).toBe(end === 'COMMIT');
    },
  );

  it('does not deadlock where statements make the same new users in any order', async () => {
    const race = await StatementRace.open(database);
    const names = Array.from({ length: 20 }, (_, n) => `crowd-${String(n)}`);
    const results = await race.run(
      Array.from({ length: 40 }, (_, n) => (through: Queryable) => {
        const turned = [...names.slice(n % 20), ...names.slice(0, n % 20)];
        const inputs = (n % 2 ? turned : turned.toReversed()).map((userId) => makeRegistrationInput(userId));
        return READ_FOR_REGISTRATION.run(through, inputs);
      }),
    );
    await race.close();
    expect(new Set(results.flat().map((result) => result?.handle.toString('hex'))).size).toBe(20);
  });
});

describe('transactions', () => {
  const readTransaction = (run: (through: Queryable) => Promise<unknown>) =>
    database.dataSource.transaction(async (manager) => {
      await run(manager);
      const [row] = await manager.query<[{ mode: string; written: boolean }]>(
        `SELECT current_setting('synchronous_commit') AS mode, pg_current_xact_id_if_assigned() IS NOT NULL AS written`,
      );
      return row;
    });

  it('of authentications write nothing', async () => {
    const run = (through: Queryable) => READ_FOR_AUTHENTICATION.run(through, [makeAuthenticationInput('u-1')]);
    expect(await readTransaction(run)).toEqual({ mode: 'on', written: false });
  });

  it('of registrations write only for a new user, and commit asynchronously', async () => {
    const run = (through: Queryable) => READ_FOR_REGISTRATION.run(through, [makeRegistrationInput('u-new')]);
    expect(await readTransaction(run)).toEqual({ mode: 'off', written: true });
    expect(await readTransaction(run)).toEqual({ mode: 'off', written: false });
    expect(await readTransaction(() => Promise.resolve())).toEqual({ mode: 'on', written: false });
  });
});
