import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  makeAcceptInput,
  makeChallengeId,
  makeRefuseInput,
  openHotPathDatabase,
} from '../../test/support/ceremony-rows.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { StatementRace } from '../../test/support/statement-race.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import type { Queryable } from '../database/named-statement.js';
import { ACCEPT_AUTHENTICATION, type AcceptAuthenticationInput } from './answer.repository.js';
import { REFUSE, type RefuseInput } from './refused-answer.repository.js';
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

async function insertCredentials(count: number, changed: Partial<CredentialEntity> = {}): Promise<CredentialEntity[]> {
  const rows = Array.from({ length: count }, () => makeCredentialRow(changed));
  await credentials().insert(rows);
  return rows;
}

async function insertCredential(changed: Partial<CredentialEntity> = {}): Promise<CredentialEntity> {
  const [row] = await insertCredentials(1, changed);
  return row!;
}

const accept =
  (...inputs: AcceptAuthenticationInput[]) =>
  async (through: Queryable) =>
    (await ACCEPT_AUTHENTICATION.run(through, inputs)).map((result) => result && { signCount: result.sign_count });

const refuse =
  (...inputs: RefuseInput[]) =>
  async (through: Queryable) =>
    (await REFUSE.run(through, inputs)).map((result) => result && { refused: true });

const countEvents = (inputs: readonly { event: { id: string } }[]): Promise<number> =>
  database.dataSource.getRepository(AuditEventEntity).countBy(inputs.map(({ event: { id } }) => ({ id })));

async function countSpent(inputs: readonly { challengeId: string }[]): Promise<number> {
  const ids = inputs.map(({ challengeId }) => challengeId);
  return (await database.sql('SELECT FROM spent_challenge WHERE id = ANY ($1::uuid[])', [ids])).length;
}

/** Counts the credentials that an authentication has used. */
const countUsed = async (rows: readonly CredentialEntity[]): Promise<number> =>
  (await credentials().findBy(rows.map(({ id }) => ({ id })))).filter(({ lastUsedAt }) => lastUsedAt !== null).length;

function shuffle<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((one, other) => one.order - other.order)
    .map(({ item }) => item);
}

const SPEND = 'INSERT INTO spent_challenge (id) VALUES ($1)';
const SPENT_BY_ANOTHER = { signCount: null };

describe('of twenty-five answers to one challenge', () => {
  it.each<[string, number]>([
    ['by one passkey', 1],
    ['by twenty-five passkeys', 25],
  ])('exactly one is accepted and recorded: %s', async (_, count) => {
    const rows = await insertCredentials(count);
    const challengeId = makeChallengeId();
    const inputs = Array.from({ length: 25 }, (_each, n) => makeAcceptInput(rows[n % count]!, 0, { challengeId }));
    const results = (
      await race.runBehind(
        { sql: SPEND, values: [challengeId] },
        inputs.map((input) => accept(input)),
      )
    ).flat();
    expect(results.filter((result) => result?.signCount === 0)).toHaveLength(1);
    expect(results.filter((result) => result?.signCount === null)).toHaveLength(24);
    expect([await countEvents(inputs), await countUsed(rows)]).toEqual([1, 1]);
  });

  it('none is accepted if another outcome commits first', async () => {
    const rows = await insertCredentials(25);
    const challengeId = makeChallengeId();
    const inputs = rows.map((row) => makeAcceptInput(row, 0, { challengeId }));
    const spent = { sql: SPEND, values: [challengeId], end: 'COMMIT' } as const;
    const results = await race.runBehind(
      spent,
      inputs.map((input) => accept(input)),
    );
    expect(results.flat()).toEqual(Array(25).fill(SPENT_BY_ANOTHER));
    expect([await countEvents(inputs), await countUsed(rows)]).toEqual([0, 0]);
  });

  it('one has an outcome, whether it is accepted or refused', async () => {
    for (let round = 0; round < 3; round += 1) {
      const rows = await insertCredentials(12);
      const challengeId = makeChallengeId();
      const accepts = rows.map((row) => makeAcceptInput(row, 0, { challengeId }));
      const refusals = rows.map(() => makeRefuseInput({ challengeId }));
      const runs = shuffle([...accepts.map((input) => accept(input)), ...refusals.map((input) => refuse(input))]);
      const results = (await race.runBehind<object | undefined>({ sql: SPEND, values: [challengeId] }, runs)).flat();
      const outcomes = results.filter((result) => result && !('signCount' in result && result.signCount === null));
      expect(outcomes).toHaveLength(1);
      expect(await countEvents([...accepts, ...refusals])).toBe(1);
    }
  });

  it('by one passkey that counts, one is accepted, and the others find the count used', async () => {
    const row = await insertCredential({ signCount: 7 });
    const challengeId = makeChallengeId();
    const inputs = Array.from({ length: 25 }, () => makeAcceptInput(row, 8, { challengeId }));
    const results = (await race.run(inputs.map((input) => accept(input)))).flat();
    expect(results.filter((result) => result !== undefined)).toEqual([{ signCount: 8 }]);
    expect(await countEvents(inputs)).toBe(1);
  });
});

describe('while twenty-five answers by one passkey wait for it', () => {
  const waitFor = async (change: string, stored: Partial<CredentialEntity>, received: number) => {
    const row = await insertCredential(stored);
    const inputs = Array.from({ length: 25 }, () => makeAcceptInput(row, received));
    const results = await race.runBehind(
      { sql: `${change} WHERE id = $1`, values: [row.id], end: 'COMMIT' },
      inputs.map((input) => accept(input)),
    );
    return { row, inputs, results: results.flat() };
  };

  it.each<[string, string]>([
    ['it is suspended', `UPDATE credential SET status = 'suspended'`],
    ['it is revoked', `UPDATE credential SET status = 'revoked'`],
    [
      'it is renamed under a seal that does not say so',
      `UPDATE credential SET name = 'renamed', version = version + 1`,
    ],
    ['its count grows beyond theirs', 'UPDATE credential SET sign_count = 9'],
    ['its count grows, but not beyond theirs', 'UPDATE credential SET sign_count = 8'],
    ['its row is sealed again', `UPDATE credential SET binding_mac = '\\x00'`],
    ['its user is erased', 'DELETE FROM credential'],
  ])('%s: none is accepted, and their challenges are not spent', async (_, change) => {
    const { inputs, results } = await waitFor(change, { signCount: 7 }, 9);
    expect(results).toEqual(Array(25).fill(undefined));
    expect([await countEvents(inputs), await countSpent(inputs)]).toEqual([0, 0]);
  });

  it.each<[string, string]>([
    ['the version before renames it', `UPDATE credential SET name = 'renamed'`],
    ['it is only locked', 'SELECT FROM credential'],
  ])('%s: one is accepted, and only its challenge is spent', async (_, change) => {
    const end = change.startsWith('SELECT') ? ' FOR UPDATE' : '';
    const row = await insertCredential({ signCount: 6 });
    const inputs = Array.from({ length: 25 }, () => makeAcceptInput(row, 8));
    const results = await race.runBehind(
      { sql: `${change} WHERE id = $1${end}`, values: [row.id], end: 'COMMIT' },
      inputs.map((input) => accept(input)),
    );
    expect(results.flat().filter((result) => result !== undefined)).toEqual([{ signCount: 8 }]);
    expect([await countEvents(inputs), await countSpent(inputs)]).toEqual([1, 1]);
    const stored = await credentials().findOneByOrFail({ id: row.id });
    expect(stored).toMatchObject({ signCount: 8, name: change.includes('renamed') ? 'renamed' : row.name });
  });

  it('the version before renames it: all are accepted if it does not count, and keep the new name', async () => {
    const { row, inputs, results } = await waitFor(`UPDATE credential SET name = 'renamed'`, {}, 0);
    expect(results).toEqual(Array(25).fill({ signCount: 0 }));
    expect([await countEvents(inputs), await countSpent(inputs)]).toEqual([25, 25]);
    expect((await credentials().findOneByOrFail({ id: row.id })).name).toBe('renamed');
  });

  it('one is accepted if it counts, whichever comes first, and the others read the passkey again', async () => {
    const row = await insertCredential({ signCount: 1 });
    const inputs = shuffle(Array.from({ length: 25 }, (_, n) => makeAcceptInput(row, n + 2)));
    const results = await race.runBehind(
      { sql: 'SELECT FROM credential WHERE id = $1 FOR UPDATE', values: [row.id] },
      inputs.map((input) => accept(input)),
    );
    const accepted = inputs.filter((input, n) => results[n]![0]?.signCount === input.signCount);
    expect(accepted).toHaveLength(1);
    expect(results.flat().filter((result) => result === undefined)).toHaveLength(24);
    expect([await countEvents(accepted), await countSpent(accepted)]).toEqual([1, 1]);
    expect([await countEvents(inputs), await countSpent(inputs)]).toEqual([1, 1]);
    expect(await credentials().findOneByOrFail({ id: row.id })).toMatchObject({ signCount: accepted[0]!.signCount });
  });
});

describe('overlapping statements', () => {
  it('do not deadlock, whatever the order of their passkeys and challenges, and each challenge has one outcome', async () => {
    const rows = await insertCredentials(12);
    for (let round = 0; round < 4; round += 1) {
      const challenges = rows.map(() => makeChallengeId());
      const accepts = Array.from({ length: 30 }, () => {
        const shuffled = shuffle(rows);
        return shuffle(challenges).map((challengeId, n) => makeAcceptInput(shuffled[n]!, 0, { challengeId }));
      });
      const refusals = Array.from({ length: 10 }, () =>
        shuffle(challenges).map((challengeId) => makeRefuseInput({ challengeId })),
      );
      const runs = shuffle([...accepts.map((batch) => accept(...batch)), ...refusals.map((batch) => refuse(...batch))]);
      const results = (await race.run<(object | undefined)[]>(runs)).flat();
      const outcomes = results.filter((result) => result && !('signCount' in result && result.signCount === null));
      expect(outcomes).toHaveLength(12);
      expect(await countEvents([...accepts.flat(), ...refusals.flat()])).toBe(12);
    }
  });

  it('do not deadlock where they have nothing in common but their challenges', async () => {
    for (let round = 0; round < 4; round += 1) {
      const challenges = Array.from({ length: 12 }, () => makeChallengeId());
      const batches = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const rows = await insertCredentials(12);
          return shuffle(challenges).map((challengeId, n) => makeAcceptInput(rows[n]!, 0, { challengeId }));
        }),
      );
      const refusals = batches.map(() => shuffle(challenges).map((challengeId) => makeRefuseInput({ challengeId })));
      await race.run<unknown>(
        shuffle([...batches.map((batch) => accept(...batch)), ...refusals.map((batch) => refuse(...batch))]),
      );
      expect(await countEvents([...batches.flat(), ...refusals.flat()])).toBe(12);
    }
  });
});
