import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  makeChallengeId,
  makeRefuseInput,
  makeRegistrationInput,
  NOW,
  openHotPathDatabase,
  VERSION,
} from '../../test/support/ceremony-rows.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { StatementRace } from '../../test/support/statement-race.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import type { Queryable } from '../database/named-statement.js';
import type { SpentChallengePeriods } from '../challenges/spent-challenge-periods.js';
import type { CeremonyPool } from '../database/ceremony-pool.js';
import { Metrics } from '../telemetry/metrics.js';
import { ACCEPT_REGISTRATION, type AcceptRegistrationInput, AnswerRepository } from './answer.repository.js';
import { REFUSE } from './refused-answer.repository.js';
import { CredentialEntity } from './credential.entity.js';

let database: TestDataSource;
let race: StatementRace;
beforeAll(async () => {
  database = await openHotPathDatabase();
  race = await StatementRace.open(database);
});
afterAll(async () => {
  await race.close();
  await database.close();
});

const credentials = () => database.dataSource.getRepository(CredentialEntity);
const events = () => database.dataSource.getRepository(AuditEventEntity);

interface User {
  readonly rpId: string;
  readonly userId: string;
  readonly handle: Buffer;
  readonly auditUid: string;
}

async function insertUser(rpId = 'a.example'): Promise<User> {
  const user = { rpId, userId: randomUUID(), handle: randomBytes(32), auditUid: randomUUID(), createdAt: NOW };
  await database.dataSource.getRepository(UserHandleEntity).insert(user);
  return user;
}

interface Changed extends Partial<AcceptRegistrationInput> {
  readonly row?: Partial<CredentialEntity>;
}

function makeInput({ rpId, userId, handle }: User, { row, ...changed }: Changed = {}): AcceptRegistrationInput {
  return makeRegistrationInput(makeCredentialRow({ rpId, userId, ...row }), handle, changed);
}

const accept =
  (...inputs: AcceptRegistrationInput[]) =>
  (through: Queryable) =>
    ACCEPT_REGISTRATION.run(through, inputs);

async function acceptOne(input: AcceptRegistrationInput) {
  const [result] = await ACCEPT_REGISTRATION.run(database.dataSource, [input]);
  return result;
}

/** The numbers of challenges that are spent, credentials that are stored and events that are recorded. */
async function count(
  ...inputs: AcceptRegistrationInput[]
): Promise<{ spent: number; stored: number; recorded: number }> {
  const ids = inputs.map(({ challengeId }) => challengeId);
  return {
    spent: (await database.sql('SELECT FROM spent_challenge WHERE id = ANY ($1::uuid[])', [ids])).length,
    stored: await credentials().countBy(inputs.map(({ credential: { id } }) => ({ id }))),
    recorded: await events().countBy(inputs.map(({ event: { id } }) => ({ id }))),
  };
}
/** SQL: stores a credential with the credential id $1. */
const STORE = `INSERT INTO credential SELECT 'a.example', gen_random_uuid(), 'u', $1, '', -7, gen_random_uuid(), 'n', 'active',
  NULL, now(), NULL, '{}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, ''`;
const NOTHING = { spent: 0, stored: 0, recorded: 0 };

const repeat = <Item>(times: number, make: (n: number) => Item): Item[] =>
  Array.from({ length: times }, (_, n) => make(n));

describe('a registration that nothing is in the way of', () => {
  it('spends the challenge, stores the credential and records the event with the pseudonym of the user', async () => {
    const user = await insertUser();
    const input = makeInput(user);
    expect(await acceptOne(input)).toEqual({ n: 1, stored: true, current: true, taken: false, held: 0 });
    expect(await count(input)).toEqual({ spent: 1, stored: 1, recorded: 1 });
    const event = await events().findOneByOrFail({ id: input.event.id });
    const pseudonym = `pseudonym of ${user.userId}`;
    expect(event).toMatchObject({ type: 'credential.register', userId: pseudonym });
    expect(event.event).toContain(`"uid":"${pseudonym}"`);
  });

  it.each<[string, Partial<CredentialEntity>]>([
    ['with the least', { statusReason: null, attachment: null, transports: [], discoverable: null, lastUsedAt: null }],
    ['with no bytes and no text', { credentialId: Buffer.alloc(0), publicKey: Buffer.alloc(0), name: '' }],
    [
      'with the most',
      {
        credentialId: randomBytes(1_023),
        publicKey: randomBytes(65_536),
        algorithm: -2_147_483_648,
        aaguid: 'ffffffff-ffff-4fff-bfff-ffffffffffff',
        name: 'a "name"\\ of {64},\n\u0001\u2028 ☃ 𝄞',
        statusReason: `it's null, "NULL" or \\N`,
        statusChangedAt: new Date('2026-06-30T12:00:00.001Z'),
        attachment: 'cross-platform',
        transports: repeat(16, (n) => `${'"\\{},\''.padEnd(30, '!')}${String(n)}`),
        discoverable: false,
        backedUp: true,
        userVerified: false,
        attestationFormat: 'android-safetynet',
        attestationTrust: 'trusted',
        signCount: 4_294_967_295,
        createdAt: new Date('2026-06-30T12:00:00.999Z'),
        createdBy: `spiffe://bank.example/${'a'.repeat(2_000)}`,
        lastUsedAt: new Date('1970-01-01T00:00:00.007Z'),
        bindingMac: Buffer.alloc(32, 255),
      },
    ],
  ])('stores the row as the repository reads it, member by member: %s', async (_, row) => {
    const input = makeInput(await insertUser(), { row });
    expect(await acceptOne(input)).toMatchObject({ stored: true });
    const { id } = input.credential;
    const stored = await credentials().findOneByOrFail({ rpId: 'a.example', id });
    expect(stored).toEqual(input.credential);
    // It is what the repository itself would have stored, too.
    const other = { rpId: 'b.example', id: randomUUID() };
    await credentials().insert(Object.assign(new CredentialEntity(), input.credential, other));
    const [compared] = await database.sql<{ equal: boolean }>(
      `SELECT count(DISTINCT to_jsonb(c) - 'rp_id' - 'id') = 1 AND count(*) = 2 AS equal FROM credential c WHERE id IN ($1, $2)`,
      [id, other.id],
    );
    expect(compared).toEqual({ equal: true });
  });

  it('is counted in the rows of its batch, each by its own user and relying party', async () => {
    const users = await Promise.all(repeat(3, () => insertUser()));
    await acceptOne(makeInput(users[1]!));
    const inputs = [makeInput(users[2]!), makeInput(users[1]!), makeInput(users[0]!, { version: 0 })];
    const results = await ACCEPT_REGISTRATION.run(database.dataSource, inputs);
    expect(results).toEqual([
      { n: 1, stored: true, current: true, taken: false, held: 0 },
      { n: 2, stored: true, current: true, taken: false, held: 1 },
      { n: 3, stored: false, current: false, taken: false, held: 0 },
    ]);
  });
});

describe('a registration is not stored, and its challenge is not spent,', () => {
  it('if the relying party does not know the user by the handle that the authenticator was told', async () => {
    const user = await insertUser();
    const inputs = [
      makeInput({ ...user, handle: randomBytes(32) }),
      makeInput({ ...user, handle: Buffer.alloc(0) }),
      makeInput({ ...user, userId: 'unknown' }),
      makeInput({ ...user, rpId: 'off.example' }),
    ];
    for (const input of inputs) expect(await acceptOne(input)).toBeUndefined();
    expect(await count(...inputs)).toEqual(NOTHING);
  });

  it('if all passkeys of the user were revoked since it began', async () => {
    const user = await insertUser();
    await database.sql('UPDATE user_handle SET revocations = 2 WHERE user_id = $1', [user.userId]);
    const inputs = [0, 1, 3].map((revocations) => makeInput(user, { revocations }));
    for (const input of inputs) expect(await acceptOne(input)).toBeUndefined();
    expect(await count(...inputs)).toEqual(NOTHING);
    expect(await acceptOne(makeInput(user, { revocations: 2 }))).toMatchObject({ stored: true });
  });

  it.each<[string, string, number]>([
    ['has changed since', 'a.example', VERSION - 1],
    ['is disabled', 'off.example', VERSION],
    ['is gone', 'gone.example', VERSION],
  ])('if the relying party %s', async (_, rpId, version) => {
    const input = makeInput(await insertUser(rpId), { version });
    expect(await acceptOne(input)).toMatchObject({ stored: false, current: false });
    expect(await count(input)).toEqual(NOTHING);
  });

  it('if the relying party has a credential with its credential id, of any user and status', async () => {
    for (const status of ['active', 'revoked'] as const) {
      const first = makeInput(await insertUser(), { row: { status } });
      await acceptOne(first);
      const { credentialId } = first.credential;
      const second = makeInput(await insertUser(), { row: { credentialId } });
      expect(await acceptOne(second)).toMatchObject({ stored: false, taken: true });
      expect(await count(second)).toEqual(NOTHING);
    }
  });

  it('but it is stored if only another relying party has one', async () => {
    const { credentialId } = makeCredentialRow();
    await credentials().insert(makeCredentialRow({ rpId: 'b.example', credentialId }));
    expect(await acceptOne(makeInput(await insertUser(), { row: { credentialId } }))).toMatchObject({ stored: true });
  });

  it('if the user has as many passkeys as the policy allows, where those that are revoked do not count', async () => {
    const user = await insertUser();
    await credentials().insert([
      ...(['active', 'suspended', 'revoked', 'revoked'] as const).map((status) =>
        makeCredentialRow({ userId: user.userId, status }),
      ),
      makeCredentialRow({ userId: user.userId, rpId: 'b.example' }),
      makeCredentialRow({ userId: 'another' }),
    ]);
    const refused = makeInput(user, { most: 2 });
    expect(await acceptOne(refused)).toMatchObject({ stored: false, held: 2, current: true, taken: false });
    expect(await count(refused)).toEqual(NOTHING);
    expect(await acceptOne(makeInput(user, { most: 3 }))).toMatchObject({ stored: true, held: 2 });
  });

  it('if the challenge is spent', async () => {
    const user = await insertUser();
    const [refused, first] = [makeRefuseInput(), makeInput(user)];
    await REFUSE.run(database.dataSource, [refused]);
    await acceptOne(first);
    for (const { challengeId } of [refused, first]) {
      const input = makeInput(user, { challengeId });
      expect(await acceptOne(input)).toMatchObject({ stored: false, current: true, taken: false, held: 1 });
      expect(await count(input)).toEqual({ spent: 1, stored: 0, recorded: 0 });
    }
  });
});

describe('of twenty-five registrations at once,', () => {
  const LOCK_USER = 'SELECT FROM user_handle WHERE user_id = $1 FOR UPDATE';

  it('a user gets no more passkeys than the policy allows', async () => {
    const user = await insertUser();
    const inputs = repeat(25, () => makeInput(user, { most: 7 }));
    const results = await race.runBehind(
      { sql: LOCK_USER, values: [user.userId] },
      inputs.map((input) => accept(input)),
    );
    const stored = results.flat().filter((result) => result?.stored);
    expect(stored.map((result) => result?.held).toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const others = results.flat().filter((result) => !result?.stored);
    expect(others.map((result) => result?.held)).toEqual(Array(18).fill(7));
    expect(await count(...inputs)).toEqual({ spent: 7, stored: 7, recorded: 7 });
  });

  it('each counts what was stored while it waited for the user', async () => {
    const user = await insertUser();
    const inputs = repeat(25, () => makeInput(user, { most: 4 }));
    const insert = `WITH locked AS MATERIALIZED (SELECT user_id FROM user_handle WHERE user_id = $1 FOR UPDATE)
      INSERT INTO credential SELECT 'a.example', gen_random_uuid(), user_id, decode(md5(i::text), 'hex'), '', -7,
        gen_random_uuid(), 'n', 'active', NULL, now(), NULL, '{}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, ''
        FROM locked, generate_series(1, 3) AS i`;
    const results = await race.runBehind(
      { sql: insert, values: [user.userId], end: 'COMMIT' },
      inputs.map((input) => accept(input)),
    );
    expect(results.flat().filter((result) => result?.stored)).toMatchObject([{ held: 3 }]);
    expect(await count(...inputs)).toEqual({ spent: 1, stored: 1, recorded: 1 });
  });

  it('one of them is stored if they have one challenge', async () => {
    const user = await insertUser();
    const challengeId = makeChallengeId();
    const inputs = repeat(25, () => makeInput(user, { challengeId }));
    const results = await race.runBehind(
      { sql: 'INSERT INTO spent_challenge (id) VALUES ($1)', values: [challengeId] },
      inputs.map((input) => accept(input)),
    );
    expect(results.flat().filter((result) => result?.stored)).toHaveLength(1);
    expect(await count(...inputs)).toEqual({ spent: 1, stored: 1, recorded: 1 });
  });

  it('one of them is stored if they are of twenty-five users and have one credential id', async () => {
    const row = { credentialId: randomBytes(32) };
    const inputs = (await Promise.all(repeat(25, () => insertUser()))).map((user) => makeInput(user, { row }));
    const results = await race.runBehind(
      { sql: STORE, values: [row.credentialId] },
      inputs.map((input) => async (through) => {
        const answers = new AnswerRepository(
          { through, metrics: new Metrics() } as CeremonyPool,
          {} as SpentChallengePeriods,
        );
        return answers.acceptRegistration(input);
      }),
    );
    expect(results.filter((result) => result?.stored)).toHaveLength(1);
    expect(results.filter((result) => result?.taken)).toHaveLength(24);
    expect(await count(...inputs)).toEqual({ spent: 1, stored: 1, recorded: 1 });
  });

  it.each<[string, string]>([
    ['the user is erased', 'DELETE FROM user_handle WHERE user_id = $1'],
    ['all passkeys of the user are revoked', 'UPDATE user_handle SET revocations = 1 WHERE user_id = $1'],
    ['the user gets another handle', `UPDATE user_handle SET handle = '\\x00' WHERE user_id = $1`],
  ])('none is stored and no challenge spent if %s while they wait', async (_, sql) => {
    const user = await insertUser();
    const inputs = repeat(25, () => makeInput(user));
    const results = await race.runBehind(
      { sql, values: [user.userId], end: 'COMMIT' },
      inputs.map((input) => accept(input)),
    );
    expect(results.flat()).toEqual(Array(25).fill(undefined));
    expect(await count(...inputs)).toEqual(NOTHING);
  });
});

describe('overlapping statements', () => {
  /** One of the statements that store a credential id at once stores it, and the others fail. */
  const acceptAll = (batch: AcceptRegistrationInput[]) => async (through: Queryable) => {
    try {
      return await ACCEPT_REGISTRATION.run(through, batch);
    } catch (error) {
      expect(error).toMatchObject({ code: '23505', table: 'credential' });
      return [];
    }
  };

  it('do not deadlock, whatever the order of their users, challenges and credential ids', async () => {
    const users = await Promise.all(repeat(10, () => insertUser()));
    for (let round = 0; round < 4; round += 1) {
      const rows = users.map(() => ({ credentialId: randomBytes(32) }));
      const challenges = users.map(() => makeChallengeId());
      const pick = <Item>(items: readonly Item[], from: number, by: 1 | -1): Item[] =>
        items.map((_, n) => items.at((from + by * n) % items.length)!);
      const batches = repeat(40, (n) => {
        const [ids, picked] = [pick(challenges, n, 1), pick(rows, n * 3, n % 3 ? 1 : -1)];
        return pick(users, n * 7, n % 2 ? 1 : -1).map((user, at) =>
          makeInput(user, { challengeId: ids[at]!, row: picked[at]!, most: 1_000 }),
        );
      });
      const stored = (await race.run(batches.map(acceptAll))).flat().filter((result) => result?.stored).length;
      expect(stored).toBeGreaterThan(0);
      expect(stored).toBeLessThanOrEqual(10);
      expect(await count(...batches.flat())).toEqual({ spent: stored, stored, recorded: stored });
    }
  });

  it('do not deadlock where they have nothing in common but their credential ids', async () => {
    for (let round = 0; round < 4; round += 1) {
      const rows = repeat(10, () => ({ credentialId: randomBytes(32) }));
      const batches = await Promise.all(
        repeat(20, async () => {
          const users = await Promise.all(repeat(10, () => insertUser()));
          return users.map((user, n) => makeInput(user, { row: rows[n]! }));
        }),
      );
      await race.runBehind({ sql: STORE, values: [rows[0]!.credentialId] }, batches.map(acceptAll));
      expect(await count(...batches.flat())).toEqual({ spent: 10, stored: 10, recorded: 10 });
    }
  });
});
