import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  makeAcceptInput,
  makeChallengeId,
  makeEventRow,
  makeRefuseInput,
  makeRegistrationInput,
  NOW,
  openHotPathDatabase,
  SEAL,
} from '../../test/support/ceremony-rows.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { StatementRace } from '../../test/support/statement-race.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import type { Queryable } from '../database/named-statement.js';
import { Metrics } from '../telemetry/metrics.js';
import { ACCEPT_AUTHENTICATION, ACCEPT_REGISTRATION, AnswerRepository } from './answer.repository.js';
import { REFUSE, type RefuseInput } from './refused-answer.repository.js';
import { LOAD, readCredential } from './loaded-answer.repository.js';
import { CredentialEntity } from './credential.entity.js';

let database: TestDataSource;
beforeAll(async () => {
  database = await openHotPathDatabase();
});
afterAll(() => database.close());

const credentials = () => database.dataSource.getRepository(CredentialEntity);
const events = () => database.dataSource.getRepository(AuditEventEntity);

async function insertCredential(changed: Partial<CredentialEntity> = {}): Promise<CredentialEntity> {
  const row = makeCredentialRow(changed);
  await credentials().insert(row);
  return row;
}

async function insertUser(userId: string): Promise<{ handle: Buffer; auditUid: string }> {
  const user = { rpId: 'a.example', userId, handle: randomBytes(32), auditUid: randomUUID(), createdAt: NOW };
  await database.dataSource.getRepository(UserHandleEntity).insert(user);
  return user;
}

async function isSpent(challengeId: string): Promise<boolean> {
  return (await database.sql('SELECT FROM spent_challenge WHERE id = $1', [challengeId])).length === 1;
}

describe('LOAD', () => {
  const load = async (credentialId: Buffer, userId?: string, rpId = 'a.example') => {
    const [loaded] = await LOAD.run(database.dataSource, [{ challenge: { rpId, userId }, credentialId }]);
    return loaded;
  };

  it('returns the credential as the repository would load it, with the relying party and its user', async () => {
    const { handle, auditUid } = await insertUser('u-load');
    for (const changed of [
      { signCount: 4_294_967_295, lastUsedAt: NOW },
      { status: 'revoked', transports: [] },
    ] as const) {
      const { id, credentialId } = await insertCredential({
        userId: 'u-load',
        ...changed,
      } as Partial<CredentialEntity>);
      const loaded = await load(credentialId, 'u-load');
      expect(loaded).toMatchObject({
        n: 1,
        party_seal: SEAL,
        handle,
        audit_uid: auditUid,
      });
      expect(readCredential(loaded!)).toEqual(await credentials().findOneByOrFail({ rpId: 'a.example', id }));
    }
  });

  it('returns no credential that is another relying party’s, or that does not exist', async () => {
    const { handle } = await insertUser('u-without');
    const { credentialId } = await insertCredential({ rpId: 'b.example' });
    for (const answered of [credentialId, randomBytes(32), Buffer.alloc(0)]) {
      const loaded = await load(answered, 'u-without');
      expect(readCredential(loaded!)).toBeUndefined();
      expect(loaded).toMatchObject({ party_seal: SEAL, handle });
    }
  });

  it('tells two relying parties’ credentials with the same credential id apart', async () => {
    const { id, credentialId } = await insertCredential();
    await insertCredential({ rpId: 'b.example', credentialId });
    expect(readCredential((await load(credentialId))!)?.id).toBe(id);
  });

  it.each(['nobody', 'another user', undefined])(
    'returns the user of the credential, and not the one of the challenge: %s',
    async (challenged) => {
      const userId = randomUUID();
      const { handle, auditUid } = await insertUser(userId);
      if (challenged === 'another user') await insertUser(challenged);
      const { credentialId } = await insertCredential({ userId });
      expect(await load(credentialId, challenged)).toMatchObject({ handle, audit_uid: auditUid });
    },
  );

  it('returns no user whom the relying party does not know', async () => {
    await database.sql(
      `INSERT INTO user_handle (rp_id, user_id, handle, created_at) VALUES ('b.example', 'u-elsewhere', '', now())`,
    );
    const { credentialId } = await insertCredential({ userId: 'u-elsewhere' });
    for (const answered of [credentialId, randomBytes(32)]) {
      expect(await load(answered, 'u-elsewhere')).toMatchObject({ handle: null, audit_uid: null });
    }
  });

  it('returns the seal of the relying party as it is now, and nothing if it is disabled or gone', async () => {
    const { credentialId } = await insertCredential();
    for (const seal of [Buffer.alloc(32, 8), null, SEAL]) {
      await database.sql(`UPDATE relying_party SET seal = $1 WHERE rp_id = 'a.example'`, [seal]);
      expect(await load(credentialId)).toMatchObject({ party_seal: seal });
    }
    for (const rpId of ['off.example', 'gone.example']) expect(await load(credentialId, 'u-1', rpId)).toBeUndefined();
  });
});

describe('ACCEPT_AUTHENTICATION', () => {
  interface Accept {
    stored?: Partial<CredentialEntity>;
    received?: number;
    flag?: boolean;
    read?: Partial<CredentialEntity>;
    rpId?: string;
  }

  async function acceptSignCount({ stored: row = {}, received = 0, flag = false, read = {} }: Accept) {
    const credential = await insertCredential(row);
    const later = new Date(NOW.getTime() + 1_000);
    const { id, bindingMac } = credential;
    const input = makeAcceptInput(makeCredentialRow({ ...row, id, bindingMac, ...read }), received, {
      bindingMac,
      backedUp: true,
      now: later,
      flag,
    });
    const [result] = await ACCEPT_AUTHENTICATION.run(database.dataSource, [input]);
    const after = await credentials().findOneByOrFail({ id });
    const outcomes = [await isSpent(input.challengeId), await events().existsBy({ id: input.event.id })];
    return { credential, result, after, outcomes, later };
  }

  it.each<[number, number, boolean, number | 'refused']>([
    [0, 0, false, 0],
    [0, 1, false, 1],
    [5, 6, false, 6],
    [5, 500, false, 500],
    [4_294_967_294, 4_294_967_295, false, 4_294_967_295],
    [5, 5, false, 'refused'],
    [5, 4, false, 'refused'],
    [5, 0, false, 'refused'],
    [4_294_967_295, 0, false, 'refused'],
    [5, 5, true, 5],
    [5, 4, true, 5],
    [5, 0, true, 5],
    [5, 6, true, 6],
    [0, 0, true, 0],
  ])(
    'with the stored count %i, the answered count %i, only flagged: %s → %s',
    async (signCount, received, flag, outcome) => {
      const { result, after, outcomes, later } = await acceptSignCount({ stored: { signCount }, received, flag });
      const accepted = outcome !== 'refused';
      expect(result).toEqual(accepted ? { n: 1, sign_count: outcome } : undefined);
      expect(after.signCount).toBe(accepted ? outcome : signCount);
      expect([after.backedUp, after.lastUsedAt]).toEqual(accepted ? [true, later] : [false, null]);
      expect(outcomes).toEqual([accepted, accepted]);
    },
  );

  it.each<[string, Accept]>([
    ['is suspended by now', { stored: { status: 'suspended' } }],
    ['is revoked by now', { stored: { status: 'revoked' } }],
    ['has another seal by now', { read: { bindingMac: randomBytes(32) } }],
    ['has another version by now', { read: { version: 2 } }],
    ['has another sign count by now', { read: { signCount: 1 } }],
    ['is another relying party’s', { read: { rpId: 'b.example' } }],
  ])('leaves a credential that %s and the challenge alone, even when counts are only flagged', async (_, attempt) => {
    for (const flag of [false, true]) {
      const { credential, result, after, outcomes } = await acceptSignCount({ ...attempt, received: 1, flag });
      expect([result, outcomes]).toEqual([undefined, [false, false]]);
      expect(after).toEqual(credential);
    }
  });

  it('changes nothing but the count, the backup state and the last use', async () => {
    const { credential, after, later } = await acceptSignCount({ stored: { signCount: 1 }, received: 2 });
    expect(after).toEqual(Object.assign(credential, { signCount: 2, backedUp: true, lastUsedAt: later }));
  });

  it('stores a new backup eligibility with its seal', async () => {
    const credential = await insertCredential({ backupEligible: false });
    const bindingMac = randomBytes(32);
    await ACCEPT_AUTHENTICATION.run(database.dataSource, [
      makeAcceptInput(credential, 0, { backupEligible: true, bindingMac }),
    ]);
    const after = await credentials().findOneByOrFail({ id: credential.id });
    expect(after).toEqual(Object.assign(credential, { backupEligible: true, bindingMac, lastUsedAt: NOW }));
  });

  it('changes nothing for a challenge that is spent, and says so', async () => {
    const credential = await insertCredential();
    const refused = makeRefuseInput();
    await REFUSE.run(database.dataSource, [refused]);
    const input = makeAcceptInput(credential, 1, { challengeId: refused.challengeId });
    expect(await ACCEPT_AUTHENTICATION.run(database.dataSource, [input])).toEqual([{ n: 1, sign_count: null }]);
    expect(await credentials().findOneByOrFail({ id: credential.id })).toEqual(credential);
    expect(await events().existsBy({ id: input.event.id })).toBe(false);
  });

  it('gives a challenge to one of twenty-five concurrent answers', async () => {
    const race = await StatementRace.open(database);
    const credential = await insertCredential();
    const challengeId = makeChallengeId();
    const inputs = Array.from({ length: 25 }, () => makeAcceptInput(credential, 0, { challengeId }));
    const results = await race.run(inputs.map((input) => (through) => ACCEPT_AUTHENTICATION.run(through, [input])));
    const counts = results.flat().map((result) => result?.sign_count);
    expect(counts.toSorted()).toEqual([0, ...Array<null>(24).fill(null)]);
    expect(await events().countBy(inputs.map(({ event: { id } }) => ({ id })))).toBe(1);
    await race.close();
  });
});

describe('REFUSE', () => {
  const refuse = (input: RefuseInput) => REFUSE.run(database.dataSource, [input]).then(([refused]) => refused);

  it.each<[string, string | undefined]>([
    ['the user of the event', 'the pseudonym'],
    ['nobody, if nobody is known', undefined],
  ])('spends the challenge and records the event with %s', async (_, uid) => {
    const userId = uid && 'u-refused';
    const event = makeEventRow({ outcome: 'failure', rpId: 'a.example', userId }, uid);
    const input = makeRefuseInput({ event });
    expect(await refuse(input)).toEqual({ n: 1, refused: true });
    expect(await isSpent(input.challengeId)).toBe(true);
    const recorded = await events().findOneByOrFail({ id: event.id });
    expect(recorded).toMatchObject({ type: 'credential.verify', outcome: 'failure', userId: uid ?? null });
    expect(recorded.event).toBe(event.values[1]);
  });

  it('has no second outcome for a challenge, accepted or refused', async () => {
    const accepted = makeAcceptInput(await insertCredential(), 0);
    await ACCEPT_AUTHENTICATION.run(database.dataSource, [accepted]);
    const refused = makeRefuseInput();
    await refuse(refused);
    for (const { challengeId } of [accepted, refused]) {
      const again = makeRefuseInput({ challengeId });
      expect(await refuse(again)).toBeUndefined();
      expect(await events().existsBy({ id: again.event.id })).toBe(false);
    }
  });
});

describe('a challenge of a period without a partition', () => {
  const makeInputs = async (at: Date) => {
    const challengeId = makeChallengeId(at);
    const { handle } = await insertUser(challengeId);
    return {
      accept: makeAcceptInput(await insertCredential(), 0, { challengeId }),
      register: makeRegistrationInput(makeCredentialRow({ userId: challengeId }), handle, { challengeId }),
      refuse: makeRefuseInput({ challengeId }),
    };
  };
  const addDays = (days: number): Date => new Date(NOW.getTime() + days * 86_400_000);

  class FakePeriods {
    made = 0;
    constructor(private readonly now: Date) {}

    async make(): Promise<void> {
      this.made += 1;
      await database.sql('SELECT spent_challenge_make_periods($1)', [this.now]);
    }
  }

  it.each([-2, 9])('has no outcome: %i days from now', async (days) => {
    const { accept, register, refuse } = await makeInputs(addDays(days));
    const error = { code: '23514', table: 'spent_challenge' };
    await expect(ACCEPT_AUTHENTICATION.run(database.dataSource, [accept])).rejects.toMatchObject(error);
    await expect(ACCEPT_REGISTRATION.run(database.dataSource, [register])).rejects.toMatchObject(error);
    await expect(REFUSE.run(database.dataSource, [refuse])).rejects.toMatchObject(error);
    expect(await events().countBy([accept, register, refuse].map(({ event: { id } }) => ({ id })))).toBe(0);
    expect(await credentials().existsBy({ id: register.credential.id })).toBe(false);
  });

  it('has one as soon as the service has made the period, which it does when an answer needs it', async () => {
    const periods = new FakePeriods(addDays(20));
    const answers = new AnswerRepository(
      { through: database.dataSource, metrics: new Metrics() } as never,
      periods as never,
    );
    const { accept, register, refuse } = await makeInputs(addDays(20));
    expect(await answers.acceptAuthentication(accept)).toBe(0);
    const spent = expect.objectContaining({ slug: 'challenge-spent' });
    expect(await answers.acceptRegistration(register)).toMatchObject({ stored: false, current: true });
    await expect(answers.refuse(refuse)).rejects.toEqual(spent);
    await expect(answers.acceptAuthentication(accept)).rejects.toEqual(spent);
    expect(periods.made).toBe(1);
  });

  it('counts as spent if its period is over and was not made', async () => {
    const periods = new FakePeriods(NOW);
    const answers = new AnswerRepository(
      { through: database.dataSource, metrics: new Metrics() } as never,
      periods as never,
    );
    const { accept, register, refuse } = await makeInputs(addDays(-30));
    const spent = expect.objectContaining({ slug: 'challenge-spent' });
    await expect(answers.acceptAuthentication(accept)).rejects.toEqual(spent);
    await expect(answers.acceptRegistration(register)).rejects.toEqual(spent);
    await expect(answers.refuse(refuse)).rejects.toEqual(spent);
    expect(periods.made).toBe(3);
  });
});

it.each([
  ['a period without a partition', 'no partition of relation "spent_challenge_102034" found for row', 1],
  ['no other rule', 'new row for relation "spent_challenge_83165_102034" violates check constraint "closed"', 0],
])('an outcome knows %s by the message of a worker of Citus', async (_, message, periods) => {
  const failing = { query: () => Promise.reject(Object.assign(new Error(message), { code: '23514' })) };
  let made = 0;
  const make = (): Promise<void> => Promise.resolve(void (made += 1));
  const answers = new AnswerRepository({ through: failing, metrics: new Metrics() } as never, { make } as never);
  await expect(answers.refuse(makeRefuseInput())).rejects.toThrow();
  expect(made).toBe(periods);
});

describe('an outcome whose event cannot be recorded', () => {
  it('spends no challenge and changes nothing', async () => {
    const { event } = makeRefuseInput();
    await REFUSE.run(database.dataSource, [makeRefuseInput({ event })]);
    const { handle } = await insertUser('u-unrecorded');
    const credential = await insertCredential();
    const accept = makeAcceptInput(credential, 1, { event });
    const register = makeRegistrationInput(makeCredentialRow({ userId: 'u-unrecorded' }), handle, { event });
    const refuse = makeRefuseInput({ event });
    const error = { code: '23505', table: expect.stringMatching(/^audit_event/) };
    await expect(ACCEPT_AUTHENTICATION.run(database.dataSource, [accept])).rejects.toMatchObject(error);
    await expect(ACCEPT_REGISTRATION.run(database.dataSource, [register])).rejects.toMatchObject(error);
    await expect(REFUSE.run(database.dataSource, [refuse])).rejects.toMatchObject(error);
    for (const { challengeId } of [accept, register, refuse]) expect(await isSpent(challengeId)).toBe(false);
    expect(await credentials().findOneByOrFail({ id: credential.id })).toEqual(credential);
    expect(await credentials().existsBy({ id: register.credential.id })).toBe(false);
  });
});

describe('transactions', () => {
  const readTransaction = (run: (through: Queryable) => Promise<unknown>) =>
    database.dataSource.transaction(async (manager) => {
      await run(manager);
      const [row] = await manager.query<[{ mode: string; id: string | null }]>(
        `SELECT current_setting('synchronous_commit') AS mode, pg_current_xact_id_if_assigned()::text AS id`,
      );
      return row;
    });

  it('of LOAD write nothing', async () => {
    const { credentialId } = await insertCredential();
    const challenge = { rpId: 'a.example', userId: 'u-1' };
    const { id } = await readTransaction((through) => LOAD.run(through, [{ challenge, credentialId }]));
    expect(id).toBeNull();
  });

  it.each<[string, (through: Queryable) => Promise<unknown>]>([
    [
      'ACCEPT_AUTHENTICATION',
      async (through) => ACCEPT_AUTHENTICATION.run(through, [makeAcceptInput(await insertCredential(), 0)]),
    ],
    [
      'ACCEPT_REGISTRATION',
      async (through) => {
        const { handle } = await insertUser('u-commit');
        await ACCEPT_REGISTRATION.run(through, [
          makeRegistrationInput(makeCredentialRow({ userId: 'u-commit' }), handle),
        ]);
      },
    ],
    ['REFUSE', (through) => REFUSE.run(through, [makeRefuseInput()])],
  ])('of %s commit synchronously', async (_, run) => {
    expect(await readTransaction(run)).toEqual({ mode: 'on', id: expect.any(String) });
  });
});

describe('every event that the hot statements record', () => {
  it('is pending with its hash, and nothing else is', async () => {
    const differing = await database.sql(
      `SELECT FROM audit_event e FULL JOIN audit_pending p ON event_id = id WHERE e.leaf_hash IS DISTINCT FROM p.leaf_hash`,
    );
    const [row] = await database.sql<{ types: string[] }>('SELECT array_agg(DISTINCT type) AS types FROM audit_event');
    expect(differing).toEqual([]);
    expect(row?.types).toEqual(expect.arrayContaining(['credential.register', 'credential.verify']));
  });
});
