import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AUDIT_ROW_WIDTH, createAuditRow, insertEventSql, parseIdTime } from '../audit/audit-event.repository.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { DEFAULT_POLICY } from '../relying-parties/relying-party-policy.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { READ_FOR_AUTHENTICATION } from './challenge.repository.js';
import { UserHandleEntity } from './user-handle.entity.js';
import { getCountedIdEnd, getFirstRefusalIds, recordLimit } from './user-limits.repository.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');
const subtractFromNow = (ms: number): Date => new Date(NOW.getTime() - ms);
const MINUTE = 60_000;
const RP = 'a.example';
/** The pseudonym of a user in the log differs from the user id of the caller. */
const USER = 'u-1';
const PSEUDONYM = 'pseudonym of u-1';
const REFUSALS = 4;

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
  const userLimits = { ...DEFAULT_POLICY.userLimits, refusalsPerHalfHour: REFUSALS };
  const party = {
    name: 'x',
    origins: ['https://a.example'],
    enabled: true,
    version: 1,
    createdAt: NOW,
    updatedAt: NOW,
  };
  const { userLimits: _, ...before } = DEFAULT_POLICY;
  await database.dataSource.manager.insert(RelyingPartyEntity, [
    { ...party, rpId: RP, policy: { ...DEFAULT_POLICY, userLimits } },
    { ...party, rpId: 'before.example', policy: before },
  ]);
});
beforeEach(() => database.sql('TRUNCATE audit_event, credential, user_handle'));
afterAll(() => database.close());

const createEvent = (entry: Partial<AuditEntry>, at: Date) => {
  const facts = { ceremony: 'authentication' };
  const whole = { type: 'challenge.issue', outcome: 'success', rpId: RP, userId: PSEUDONYM, facts, ...entry } as const;
  return createAuditRow(whole, makeAuthorizedContext(), at, whole.userId);
};

/** Stores past events, each so many milliseconds ago. */
async function insertPastEvents(entry: Partial<AuditEntry>, ...times: number[]): Promise<string[]> {
  const rows = times.map((ms) => createEvent(entry, subtractFromNow(ms)));
  for (const { values } of rows) await database.dataSource.query(insertEventSql(1), [...values]);
  return rows.map(({ id }) => id);
}
const REFUSAL = { type: 'credential.verify', outcome: 'failure' } as const;
const insertRefused = (...times: number[]): Promise<string[]> => insertPastEvents(REFUSAL, ...times);

/** Finds the refusal that blocks the user; null: none does. */
async function findBlocking(rpId = RP, userId = USER, standIn = PSEUDONYM): Promise<string | null> {
  const [read] = await READ_FOR_AUTHENTICATION.run(database.dataSource, [{ rpId, userId, standIn, now: NOW }]);
  return read!.refusal_in_the_way;
}
const isFree = async (): Promise<boolean> => (await findBlocking()) === null;

const countEvents = (): Promise<number> => database.dataSource.getRepository(AuditEventEntity).count();

describe('refusals in a row', () => {
  it('leave room up to the limit, and at the limit the last of them blocks', async () => {
    await insertRefused(4, 3, 2);
    expect(await isFree()).toBe(true);
    const [last] = await insertRefused(1);
    expect(await findBlocking()).toBe(last);
  });

  it.each<[string, number[], boolean]>([
    ['all at once, just before half an hour', Array<number>(REFUSALS).fill(30 * MINUTE - 1), false],
    ['all at once, half an hour ago', Array<number>(REFUSALS).fill(30 * MINUTE), true],
    [
      'over half an hour, the last just before another',
      [60 * MINUTE - 1, 50 * MINUTE, 40 * MINUTE, 30 * MINUTE - 1],
      false,
    ],
    ['over an hour', [60 * MINUTE, 40 * MINUTE, 20 * MINUTE, 0], true],
    ['more than enough, the last just now', [70, 60, 50, 40, 30, 20, 1].map((minutes) => minutes * MINUTE), false],
  ])('block the user for half an hour after the last: %s → free: %s', async (_, times, free) => {
    await insertRefused(...times);
    expect(await isFree()).toBe(free);
  });

  it.each<[string, number, boolean]>([
    ['before the first of them', 5, false],
    ['with the first of them', 4, false],
    ['after the first of them', 3, true],
    ['after the last of them', 0, true],
  ])('are ended by a success %s → free: %s', async (_, success, free) => {
    await insertRefused(4, 3, 2, 1);
    const credentials = database.dataSource.getRepository(CredentialEntity);
    await credentials.insert(makeCredentialRow({ userId: USER, lastUsedAt: null }));
    await credentials.insert(
      makeCredentialRow({ userId: USER, lastUsedAt: subtractFromNow(success), status: 'suspended' }),
    );
    expect(await isFree()).toBe(free);
  });

  it.each<[string, Partial<CredentialEntity>]>([
    ['another user', { userId: 'other' }],
    ['the user at another relying party', { userId: USER, rpId: 'b.example' }],
  ])('are not ended by a success of %s', async (_, credential) => {
    await insertRefused(4, 3, 2, 1);
    await database.dataSource
      .getRepository(CredentialEntity)
      .insert(makeCredentialRow({ ...credential, lastUsedAt: NOW }));
    expect(await isFree()).toBe(false);
  });

  it.each<[string, Partial<AuditEntry>]>([
    ['another user', { ...REFUSAL, userId: 'other' }],
    ['another relying party', { ...REFUSAL, rpId: 'b.example' }],
    ['a registration', { ...REFUSAL, type: 'credential.register' }],
    ['nobody', { ...REFUSAL, userId: undefined }],
  ])('of %s do not count', async (_, entry) => {
    await insertPastEvents(entry, 4, 3, 2, 1);
    expect(await isFree()).toBe(true);
  });

  it('count by the pseudonym in the audit log of a user whom the relying party knows, and by no stand-in', async () => {
    const auditUid = randomUUID();
    const user = { rpId: RP, userId: USER, handle: Buffer.alloc(32), auditUid, createdAt: NOW };
    await database.dataSource.getRepository(UserHandleEntity).insert(user);
    await insertRefused(4, 3, 2, 1);
    expect(await findBlocking(RP, USER)).toBeNull();
    const ids = await insertPastEvents({ ...REFUSAL, userId: auditUid }, 4, 3, 2, 1);
    expect(await findBlocking(RP, USER)).toBe(ids[3]);
  });

  it('block each of many users by the limit of the relying party', async () => {
    const [last] = (await insertRefused(4, 3, 2, 1)).slice(-1);
    const rows = [
      { rpId: RP, userId: 'other', standIn: 'other' },
      { rpId: RP, userId: USER, standIn: PSEUDONYM },
      { rpId: 'before.example', userId: USER, standIn: PSEUDONYM },
    ];
    const read = await READ_FOR_AUTHENTICATION.run(
      database.dataSource,
      rows.map((row) => ({ ...row, now: NOW })),
    );
    expect(read.map((result) => result?.refusal_in_the_way)).toEqual([null, last, null]);
  });
});

describe('a relying party that was stored before there were limits', () => {
  it('has the default of 100 refusals', async () => {
    const rpId = 'before.example';
    await insertPastEvents({ ...REFUSAL, rpId }, ...Array<number>(99).fill(1));
    expect(await findBlocking(rpId)).toBeNull();
    await insertPastEvents({ ...REFUSAL, rpId }, 1);
    expect(await findBlocking(rpId)).not.toBeNull();
  });
});

describe('the limit on records', () => {
  const LIMIT = { type: 'challenge.limit', outcome: 'failure' } as const;
  const record = async (entry: Partial<AuditEntry> = {}, ceremony = 'authentication') => {
    const event = createEvent({ ...LIMIT, facts: { ceremony }, ...entry }, NOW);
    return { ...event, written: await recordLimit(database.dataSource, event, ceremony, NOW) };
  };

  it('records a user once a minute', async () => {
    await insertPastEvents(LIMIT, MINUTE);
    const { id, values, written } = await record();
    expect(written).toBe(true);
    const [stored] = await database.sql<Record<string, unknown>>('SELECT * FROM audit_event WHERE id = $1', [id]);
    expect(Object.values(stored!)).toEqual(expect.arrayContaining(values.slice(0, AUDIT_ROW_WIDTH)));
    expect((await record()).written).toBe(false);
    expect(await countEvents()).toBe(2);
  });

  it('records a user again a minute later', async () => {
    await insertPastEvents(LIMIT, MINUTE - 1);
    expect((await record()).written).toBe(false);
    await database.sql('TRUNCATE audit_event');
    await insertPastEvents(LIMIT, MINUTE);
    expect((await record()).written).toBe(true);
  });

  it('records each ceremony', async () => {
    for (const ceremony of ['authentication', 'registration']) {
      expect((await record({}, ceremony)).written).toBe(true);
      expect((await record({}, ceremony)).written).toBe(false);
    }
  });

  it('of one ceremony do not count for the other, even if the purpose reads like it', async () => {
    const facts = { ceremony: 'registration', purpose: '"ceremony":"authentication"' };
    expect((await record({ facts }, 'registration')).written).toBe(true);
    expect((await record()).written).toBe(true);
  });

  it('records each user of each relying party', async () => {
    for (const entry of [{}, { userId: 'other' }, { rpId: 'b.example' }]) {
      expect((await record(entry)).written).toBe(true);
    }
  });
});

describe('UUIDv7 ids', () => {
  it('contain their time', () => {
    const { id } = createEvent({}, NOW);
    expect(parseIdTime(id)).toBe(NOW.getTime());
  });

  it('begin after a time, so that a window does not contain its own edge', () => {
    const listWindowTimes = (now: Date): number[] => getFirstRefusalIds(now).map(parseIdTime);
    expect(listWindowTimes(NOW).map((time) => NOW.getTime() - time)).toEqual(
      [30, 60].map((minutes) => minutes * MINUTE - 1),
    );
    expect(listWindowTimes(new Date(0))).toEqual([0, 0]);
    expect(parseIdTime(getCountedIdEnd(NOW))).toBe(NOW.getTime() + 60 * MINUTE);
  });
});
