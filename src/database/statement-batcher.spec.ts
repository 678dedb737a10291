import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { makeIssueInput, CALLER, NOW, openHotPathDatabase, makeAcceptInput } from '../../test/support/ceremony-rows.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { until } from '../../test/support/until.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { ChallengeEntity } from '../challenges/challenge.entity.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { StatementBatcher } from './statement-batcher.js';
import {
  ACCEPT_AUTHENTICATION,
  type AcceptInput,
  AnswerRepository,
  readCredential,
  REDEEM,
} from '../credentials/answer.repository.js';
import { ChallengeRepository, ISSUE_AUTHENTICATION } from '../challenges/challenge.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { CeremonyPool } from './ceremony-pool.js';
import type { RowsStatement } from './rows-statement.js';

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
  const startBatcher = (keyOf: (row: string) => string | undefined = () => undefined, patience = 3_600_000) => {
    const statement = new FakeStatement();
    return { statement, combined: new StatementBatcher(statement, {} as never, keyOf, patience) };
  };

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

  it('do not wait for a slow one; at most two are in flight', async () => {
    const { statement, combined } = startBatcher(() => undefined, 20);
    const results: Promise<unknown>[] = [];
    for (const row of ['stuck', 'b']) {
      results.push(combined.run(row));
      await waitForTurn();
    }
    await until(() => statement.rows.length === 2);
    expect(statement.rows).toEqual([['stuck'], ['b']]);
    results.push(combined.run('c'));
    await sleep(50);
    expect(statement.rows).toEqual([['stuck'], ['b']]);
    statement.runs[1]!.answer();
    await results[1];
    await waitForTurn();
    expect(statement.rows).toEqual([['stuck'], ['b'], ['c']]);
    for (const run of statement.runs) run.answer();
    expect(await Promise.all(results)).toEqual(['stuck', 'b', 'c'].map((row) => `result of ${row}`));
  });

  it('with the same key run one after the other, and hold up no other', async () => {
    const { statement, combined } = startBatcher((row) => row[0]);
    const results = ['a1', 'a2', 'b1', 'a3', 'c1'].map((row) => combined.run(row));
    await waitForTurn();
    expect(statement.rows).toEqual([['a1', 'b1', 'c1']]);
    statement.runs[0]!.answer();
    await results[0];
    await waitForTurn();
    statement.runs[1]!.answer();
    await results[1];
    await waitForTurn();
    expect(statement.rows.slice(1)).toEqual([['a2'], ['a3']]);
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
  pool = new CeremonyPool({ databaseUrl: database.url, workers: 1, databasePasswordFile: undefined });
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

async function issueAuthentication() {
  const row = makeIssueInput();
  await ISSUE_AUTHENTICATION.run(database.dataSource, [row]);
  return row;
}

describe('many rows at once', () => {
  it('each have their challenge, their event and their own result, or none', async () => {
    const [first, second] = [
      await insertCredential({ userId: 'many-1' }),
      await insertCredential({ userId: 'many-2' }),
    ];
    const asked = [
      makeIssueInput({ userId: 'many-1' }),
      makeIssueInput({ rpId: 'unknown.example' }),
      makeIssueInput(),
      makeIssueInput({ userId: 'many-2' }),
    ];
    const results = await ISSUE_AUTHENTICATION.run(database.dataSource, asked);
    expect(results.map((result) => result?.descriptors?.map(({ id }) => id))).toEqual([
      [first.credentialId.toString('hex')],
      undefined,
      undefined,
      [second.credentialId.toString('hex')],
    ]);
    const expiries = results.map((result) => result?.expires_at?.getTime());
    expect(expiries).toEqual([0, undefined, 0, 0].map((n) => (n === undefined ? n : NOW.getTime() + 120_000)));
    for (const [index, { id, event }] of asked.entries()) {
      const found = [
        await database.dataSource.getRepository(ChallengeEntity).existsBy({ id }),
        await isRecorded(event.id),
      ];
      expect(found).toEqual([index !== 1, index !== 1]);
    }
  });

  it('are redeemed each with its own credential, and only by the caller that requested it', async () => {
    const credentials = [await insertCredential(), await insertCredential(), await insertCredential()];
    const issued = [await issueAuthentication(), await issueAuthentication(), await issueAuthentication()];
    const answers = issued.map(({ id }, n) => ({
      challengeId: id,
      credentialId: credentials[n]!.credentialId,
      relyingParties: null,
      spiffeId: n === 1 ? 'spiffe://bank.example/other' : CALLER,
    }));
    const redeemed = await REDEEM.run(database.dataSource, answers);
    expect(redeemed.map((row) => row && readCredential(row)?.id)).toEqual([
      credentials[0]!.id,
      undefined,
      credentials[2]!.id,
    ]);
    expect(redeemed.map((row) => row?.challenge)).toEqual([issued[0]!.challenge, undefined, issued[2]!.challenge]);
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

  it('do not deadlock where statements overlap in any order', async () => {
    const credentials = await Promise.all(Array.from({ length: 12 }, () => insertCredential()));
    const shuffleRows = (): AcceptInput[] =>
      credentials
        .map((credential) => ({ credential, order: Math.random() }))
        .sort((a, b) => a.order - b.order)
        .map(({ credential }) => makeAcceptInput(credential, 0));
    const runs = Array.from({ length: 60 }, () => ACCEPT_AUTHENTICATION.run(database.dataSource, shuffleRows()));
    expect((await Promise.all(runs)).flat().filter((result) => result === undefined)).toEqual([]);
  });

  it('of overlapping redemptions are redeemed once, and none waits', async () => {
    const issued = await Promise.all(Array.from({ length: 12 }, () => issueAuthentication()));
    const answers = issued.map(({ id }) => ({
      challengeId: id,
      spiffeId: CALLER,
      relyingParties: null,
      credentialId: Buffer.alloc(1),
    }));
    const runs = Array.from({ length: 20 }, (_, n) => {
      const turned = [...answers.slice(n % 12), ...answers.slice(0, n % 12)];
      return REDEEM.run(database.dataSource, n % 2 ? turned : turned.reverse());
    });
    expect((await Promise.all(runs)).flat().filter((result) => result !== undefined)).toHaveLength(12);
  });

  it('of one credential are judged one after the other, so that one of twenty answers with the same count is accepted', async () => {
    const answers = new AnswerRepository(pool, { now: () => NOW });
    const credential = await insertCredential({ signCount: 7 });
    const accepted = await Promise.all(
      Array.from({ length: 20 }, () => answers.accept(makeAcceptInput(credential, 8))),
    );
    expect(accepted.filter((result) => result !== undefined)).toHaveLength(1);
  });

  it('of one challenge are answered by one', async () => {
    const answers = new AnswerRepository(pool, { now: () => NOW });
    const { id } = await issueAuthentication();
    const context = { caller: { spiffeId: CALLER }, relyingParties: null } as AuthorizedContext;
    const redeemed = await Promise.allSettled(
      Array.from({ length: 50 }, () => answers.redeem(context, id, Buffer.alloc(1))),
    );
    expect(redeemed.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('fail alone: a row that PostgreSQL refuses leaves the others their results', async () => {
    const { issueAuthentication: issue } = new ChallengeRepository(pool, database.dataSource);
    const rows = ['u-a', 'u\u0000b', 'u-c'].map((userId) => makeIssueInput({ userId }));
    const issued = await Promise.allSettled(rows.map((row) => issue.run(row)));
    expect(issued.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
