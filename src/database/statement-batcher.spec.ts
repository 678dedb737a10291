import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  makeAcceptInput,
  makeChallengeId,
  makeRefuseInput,
  makeRegistrationInput,
  NOW,
  openHotPathDatabase,
} from '../../test/support/ceremony-rows.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { until } from '../../test/support/until.js';
import { makeNewUser } from '../../test/support/users.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { ChallengeRepository } from '../challenges/challenge.repository.js';
import type { SpentChallengePeriods } from '../challenges/spent-challenge-periods.js';
import { ACCEPT_AUTHENTICATION, AnswerRepository } from '../credentials/answer.repository.js';
import { REFUSE } from '../credentials/refused-answer.repository.js';
import { LOAD, readCredential } from '../credentials/loaded-answer.repository.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { Metrics } from '../telemetry/metrics.js';
import { CeremonyPool } from './ceremony-pool.js';
import type { RowsStatement } from './rows-statement.js';
import { StatementBatcher } from './statement-batcher.js';

/** Waits for two turns of the event loop: the batch is sent in one of them. */
const waitForTurn = async (): Promise<void> => {
  for (let n = 0; n < 2; n += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A statement whose runs end when the test ends them. */
class FakeStatement implements RowsStatement<string, string> {
  readonly name = 'fake';
  readonly text = '';
  readonly parameters = 1;
  readonly runs: { rows: readonly string[]; answer(): void; fail(error: Error): void }[] = [];

  run(_through: unknown, rows: readonly string[]): Promise<(string | undefined)[]> {
    return new Promise((resolve, reject) => {
      const answer = (): void => {
        resolve(rows.map((row) => (row === 'none' ? undefined : `result of ${row}`)));
      };
      this.runs.push({ rows, answer, fail: reject });
    });
  }

  get rows(): (readonly string[])[] {
    return this.runs.map(({ rows }) => rows);
  }
}

const createSqlError = (code: string): Error => Object.assign(new Error('failed'), { code });

describe('concurrent runs of a statement', () => {
  let metrics: Metrics;
  beforeEach(() => {
    metrics = new Metrics();
  });
  const startBatcher = (keysOf: (row: string) => readonly string[] = () => [], patience = 3_600_000) => {
    const statement = new FakeStatement();
    return {
      statement,
      combined: new StatementBatcher(statement, { through: {} as never, metrics }, keysOf, patience),
    };
  };

  it('are counted with the rows of each statement and how long it took, also if it fails', async () => {
    const { statement, combined } = startBatcher();
    const answers = [combined.run('a'), combined.run('b'), combined.run('c')];
    await waitForTurn();
    statement.runs[0]!.answer();
    await Promise.all(answers);
    const failed = combined.run('d');
    await waitForTurn();
    statement.runs[1]!.fail(createSqlError('23514'));
    await expect(failed).rejects.toThrow('failed');
    const read = async (metric: Metrics['batchRows'], name: string): Promise<number | undefined> =>
      (await metric.get()).values.find(({ metricName }) => metricName?.endsWith(name))?.value;
    expect([await read(metrics.batchRows, '_sum'), await read(metrics.batchRows, '_count')]).toEqual([4, 2]);
    expect(await read(metrics.batchDuration, '_count')).toBe(2);
  });

  it('are sent together when they begin in one turn of the event loop', async () => {
    const { statement, combined } = startBatcher();
    const results = Promise.all(['a', 'none', 'b'].map((row) => combined.run(row)));
    await waitForTurn();
    expect(statement.rows).toEqual([['a', 'none', 'b']]);
    statement.runs[0]!.answer();
    expect(await results).toEqual(['result of a', undefined, 'result of b']);
  });

  it('are refused when more than 512 wait, and accepted again when some have finished', async () => {
    const { statement, combined } = startBatcher();
    const taken = [combined.run('in flight')];
    await waitForTurn();
    for (let n = 0; n < 512; n += 1) taken.push(combined.run(String(n)));
    await expect(combined.run('too many')).rejects.toMatchObject({ slug: 'unavailable', members: { retryAfter: 1 } });
    statement.runs[0]!.answer();
    await waitForTurn();
    taken.push(combined.run('late'));
    for (let run = 1; run <= 9; run += 1) {
      statement.runs[run]!.answer();
      await waitForTurn();
    }
    expect(await Promise.all(taken)).toHaveLength(514);
  });

  it('wait while one is in flight, and then are sent together', async () => {
    const { statement, combined } = startBatcher();
    const results: Promise<unknown>[] = [];
    for (const row of ['a', 'b', 'c']) {
      results.push(combined.run(row));
      await waitForTurn();
    }
    expect(statement.rows).toEqual([['a']]);
    statement.runs[0]!.answer();
    await results[0];
    await waitForTurn();
    expect(statement.rows).toEqual([['a'], ['b', 'c']]);
    statement.runs[1]!.answer();
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c'].map((row) => `result of ${row}`));
  });

  it('do not wait for slow ones; at most four are in flight', async () => {
    const { statement, combined } = startBatcher(() => [], 20);
    const results: Promise<unknown>[] = [];
    for (const row of ['stuck 1', 'stuck 2', 'stuck 3', 'd']) {
      const sent = statement.rows.length;
      results.push(combined.run(row));
      await until(() => statement.rows.length === sent + 1);
    }
    results.push(combined.run('e'));
    await sleep(50);
    expect(statement.rows).toEqual([['stuck 1'], ['stuck 2'], ['stuck 3'], ['d']]);
    statement.runs[3]!.answer();
    await results[3];
    await waitForTurn();
    expect(statement.rows.slice(4)).toEqual([['e']]);
    for (const run of statement.runs) run.answer();
    const rows = ['stuck 1', 'stuck 2', 'stuck 3', 'd', 'e'];
    expect(await Promise.all(results)).toEqual(rows.map((row) => `result of ${row}`));
  });

  it('with a key of a row in flight wait for it, however long it takes, and hold up no other', async () => {
    const { statement, combined } = startBatcher((row) => row.split(' '), 20);
    const results = [combined.run('a 1')];
    await until(() => statement.rows.length === 1);
    for (const row of ['a 2', 'b 2', 'b 3']) results.push(combined.run(row));
    await until(() => statement.rows.length === 2);
    expect(statement.rows).toEqual([['a 1'], ['b 2']]);
    statement.runs[1]!.answer();
    await until(() => statement.rows.length === 3);
    expect(statement.rows[2]).toEqual(['b 3']);
    statement.runs[2]!.answer();
    statement.runs[0]!.fail(new Error('connection terminated'));
    await expect(results[0]).rejects.toThrow('connection terminated');
    await until(() => statement.rows.length === 4);
    expect(statement.rows[3]).toEqual(['a 2']);
    statement.runs[3]!.answer();
    expect(await Promise.all(results.slice(1))).toEqual(['a 2', 'b 2', 'b 3'].map((row) => `result of ${row}`));
  });

  it('with a key in common run one after the other, and hold up no other', async () => {
    const { statement, combined } = startBatcher((row) => row.split(' '));
    const results = ['a 1', 'a 2', 'b 3', 'c 1', '4 a', 'c 2'].map((row) => combined.run(row));
    await waitForTurn();
    expect(statement.rows).toEqual([['a 1', 'b 3', 'c 2']]);
    for (const [run, rest] of [[['a 2', 'c 1']], [['4 a']]].entries()) {
      statement.runs[run]!.answer();
      await waitForTurn();
      expect(statement.rows.slice(run + 1)).toEqual(rest);
    }
    statement.runs[2]!.answer();
    expect(await Promise.all(results)).toHaveLength(6);
  });

  it('are sent at most 64 at a time', async () => {
    const { statement, combined } = startBatcher();
    for (let n = 0; n < 150; n += 1) void combined.run(String(n));
    for (let run = 0; run < 3; run += 1) {
      await waitForTurn();
      statement.runs[run]!.answer();
    }
    expect(statement.rows.map(({ length }) => length)).toEqual([64, 64, 22]);
  });

  it.each(['22P02', '23505', '40P01', '40001', '55P03'])(
    'that fail together by %s run again one by one, so that none fails for another',
    async (code) => {
      const { statement, combined } = startBatcher();
      const results = ['a', 'bad', 'c'].map((row) => combined.run(row));
      await waitForTurn();
      statement.runs[0]!.fail(createSqlError(code));
      await waitForTurn();
      expect(statement.rows.slice(1)).toEqual([['a'], ['bad'], ['c']]);
      statement.runs[1]!.answer();
      statement.runs[2]!.fail(createSqlError(code));
      statement.runs[3]!.answer();
      const [first, second, third] = await Promise.allSettled(results);
      expect([first, third]).toMatchObject([{ value: 'result of a' }, { value: 'result of c' }]);
      expect(second).toMatchObject({ status: 'rejected' });
    },
  );

  it.each(['57P01', '08006', '53300'])(
    'that fail by %s have all failed, because the database may have done them',
    async (code) => {
      const { statement, combined } = startBatcher();
      const results = ['a', 'b'].map((row) => combined.run(row));
      await waitForTurn();
      statement.runs[0]!.fail(createSqlError(code));
      expect((await Promise.allSettled(results)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      expect(statement.runs).toHaveLength(1);
    },
  );

  it('go on after a failure', async () => {
    const { statement, combined } = startBatcher();
    const failed = combined.run('a');
    await waitForTurn();
    statement.runs[0]!.fail(new Error('connection terminated'));
    await expect(failed).rejects.toThrow('connection terminated');
    const next = combined.run('b');
    await waitForTurn();
    statement.runs[1]!.answer();
    expect(await next).toBe('result of b');
  });
});

let database: TestDataSource;
let pool: CeremonyPool;
beforeAll(async () => {
  database = await openHotPathDatabase();
  pool = new CeremonyPool({ databaseUrl: database.url, workers: 1, databasePasswordFile: undefined }, new Metrics());
});
afterAll(async () => {
  await pool.onApplicationShutdown();
  await database.close();
});

const isRecorded = (id: string): Promise<boolean> =>
  database.dataSource.getRepository(AuditEventEntity).existsBy({ id });

async function insertCredential(changed: Partial<CredentialEntity> = {}): Promise<CredentialEntity> {
  const row = makeCredentialRow(changed);
  await database.dataSource.getRepository(CredentialEntity).insert(row);
  return row;
}

const repeat = <Item>(times: number, make: (n: number) => Item): Item[] =>
  Array.from({ length: times }, (_, n) => make(n));

describe('many rows at once', () => {
  let answers: AnswerRepository;
  let challenges: ChallengeRepository;
  beforeAll(() => {
    answers = new AnswerRepository(pool, { make: () => Promise.resolve() } as SpentChallengePeriods);
    challenges = new ChallengeRepository(pool, database.dataSource);
  });

  it('are loaded each with its own credential, or none', async () => {
    const credentials = [await insertCredential(), await insertCredential(), await insertCredential()];
    const loaded = await LOAD.run(
      database.dataSource,
      credentials.map(({ credentialId }, n) => ({
        challenge: { rpId: n === 1 ? 'off.example' : 'a.example', userId: undefined },
        credentialId,
      })),
    );
    expect(loaded.map((row) => row && readCredential(row)?.id)).toEqual([
      credentials[0]!.id,
      undefined,
      credentials[2]!.id,
    ]);
  });

  it('are accepted each by its own count', async () => {
    const credentials = [
      await insertCredential({ signCount: 5 }),
      await insertCredential({ signCount: 5 }),
      await insertCredential({ signCount: 0 }),
    ];
    const rows = [
      makeAcceptInput(credentials[0]!, 6),
      makeAcceptInput(credentials[1]!, 5),
      makeAcceptInput(credentials[2]!, 0),
    ];
    const accepted = await ACCEPT_AUTHENTICATION.run(database.dataSource, rows);
    expect(accepted.map((result) => result?.sign_count)).toEqual([6, undefined, 0]);
    expect(await Promise.all(rows.map(({ event: { id } }) => isRecorded(id)))).toEqual([true, false, true]);
  });

  it('are refused each by its own challenge', async () => {
    const rows = repeat(3, () => makeRefuseInput());
    await REFUSE.run(database.dataSource, [rows[1]!]);
    const again = rows.map(({ challengeId }) => makeRefuseInput({ challengeId }));
    expect(await REFUSE.run(database.dataSource, again)).toEqual([
      { n: 1, refused: true },
      undefined,
      { n: 3, refused: true },
    ]);
    expect(await Promise.all(again.map(({ event: { id } }) => isRecorded(id)))).toEqual([true, false, true]);
  });

  it('of one credential are judged one after the other, so that one of twenty answers with the same count is accepted', async () => {
    const credential = await insertCredential({ signCount: 7 });
    const accepted = await Promise.all(repeat(20, () => answers.acceptAuthentication(makeAcceptInput(credential, 8))));
    expect(accepted.filter((result) => result !== undefined)).toEqual([8]);
  });

  it('of one challenge are answered by one, with whatever credentials, accepted or refused', async () => {
    for (const refused of [0, 10]) {
      const challengeId = makeChallengeId();
      const credentials = await Promise.all(repeat(40, () => insertCredential()));
      const outcomes = await Promise.allSettled([
        ...repeat(refused, () => answers.refuse(makeRefuseInput({ challengeId }))),
        ...credentials.map((credential) =>
          answers.acceptAuthentication(makeAcceptInput(credential, 0, { challengeId })),
        ),
      ]);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(failed.map(({ reason }) => (reason as { slug: string }).slug)).toEqual(
        Array(39 + refused).fill('challenge-spent'),
      );
    }
  });

  it('of one user are registered one after the other, so that the user gets no more than the policy allows', async () => {
    const read = await challenges.readForRegistration.run({
      rpId: 'a.example',
      userId: 'u-limited',
      newUser: makeNewUser(),
      now: NOW,
    });
    const accepted = await Promise.all(
      repeat(20, () =>
        answers.acceptRegistration(
          makeRegistrationInput(makeCredentialRow({ userId: 'u-limited' }), read!.handle, { most: 3 }),
        ),
      ),
    );
    expect(accepted.filter((result) => result?.stored)).toHaveLength(3);
  });

  it('with one credential id are stored by one, and the others learn that it is taken', async () => {
    const { credentialId } = makeCredentialRow();
    const accepted = await Promise.all(
      repeat(20, async (n) => {
        const userId = `u-twin-${String(n)}`;
        const read = await challenges.readForRegistration.run({
          ...{ rpId: 'a.example', userId, newUser: makeNewUser(), now: NOW },
        });
        const credential = makeCredentialRow({ userId, credentialId });
        return answers.acceptRegistration(makeRegistrationInput(credential, read!.handle));
      }),
    );
    expect(accepted.map((result) => result?.stored !== result?.taken)).toEqual(Array(20).fill(true));
    expect(accepted.filter((result) => result?.stored)).toHaveLength(1);
  });

  it('make the handle of a new user once', async () => {
    const read = await Promise.all(
      repeat(20, () =>
        challenges.readForRegistration.run({
          rpId: 'a.example',
          userId: 'u-new',
          newUser: makeNewUser(),
          now: NOW,
        }),
      ),
    );
    expect(read.map((result) => result?.handle)).toEqual(Array(20).fill(read[0]?.handle));
  });

  it('fail alone: a row that PostgreSQL refuses leaves the others their results', async () => {
    const users = ['u-a', 'u\u0000b', 'u-c'];
    const read = await Promise.allSettled(
      users.map((userId) =>
        challenges.readForAuthentication.run({ rpId: 'a.example', userId, standIn: 'stand-in', now: NOW }),
      ),
    );
    expect(read.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('fail alone: a challenge of a time without partitions leaves the others their outcomes', async () => {
    const rows = [makeChallengeId(), makeChallengeId(new Date(0)), makeChallengeId()].map((challengeId) =>
      makeRefuseInput({ challengeId }),
    );
    const refused = await Promise.allSettled(rows.map((row) => answers.refuse(row)));
    expect(refused.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await Promise.all(rows.map(({ event: { id } }) => isRecorded(id)))).toEqual([true, false, true]);
  });
});
