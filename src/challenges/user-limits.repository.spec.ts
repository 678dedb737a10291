import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AUDIT_ROW_WIDTH, createAuditRow, insertEventSql, parseIdTime } from '../audit/audit-event.repository.js';
import { ChallengeEntity } from './challenge.entity.js';
import { UserHandleEntity } from './user-handle.entity.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { DEFAULT_POLICY } from '../relying-parties/relying-party-policy.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { ISSUE_AUTHENTICATION, ISSUE_REGISTRATION } from './challenge.repository.js';
import { getCountedIdEnd, getFirstChallengeId, getFirstRefusalIds, RECORD_LIMIT } from './user-limits.repository.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');
const subtractFromNow = (ms: number): Date => new Date(NOW.getTime() - ms);
const MINUTE = 60_000;
const RP = 'a.example';
/** The pseudonym of a user in the log differs from the user id of the caller. */
const USER = 'u-1';
const PSEUDONYM = 'pseudonym of u-1';
const [CHALLENGES, REFUSALS] = [3, 4];

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
  const userLimits = { challengesPerMinute: CHALLENGES, refusalsPerHalfHour: REFUSALS };
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
beforeEach(() => database.sql('TRUNCATE audit_event, challenge, credential, user_handle'));
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
const REGISTRATION = { facts: { ceremony: 'registration' } } as const;
const insertIssued = (...times: number[]): Promise<string[]> => insertPastEvents({}, ...times);
const REFUSAL = { type: 'credential.verify', outcome: 'failure' } as const;
const insertRefused = (...times: number[]): Promise<string[]> => insertPastEvents(REFUSAL, ...times);

async function issueAuthentication(rpId = RP, userId: string | null = USER, recorded = PSEUDONYM) {
  const event = createEvent({ rpId, userId: userId === null ? undefined : recorded }, NOW);
  const [row] = await ISSUE_AUTHENTICATION.run(database.dataSource, [
    {
      id: randomUUID(),
      rpId,
      userId: userId ?? undefined,
      purpose: undefined,
      issuedTo: 'spiffe://a/b',
      challenge: randomBytes(32),
      now: NOW,
      event,
    },
  ]);
  return row!;
}

async function issueRegistration(limit = CHALLENGES) {
  const [row] = await ISSUE_REGISTRATION.run(database.dataSource, [
    ...[randomUUID(), RP, USER, null, 'spiffe://a/b', randomBytes(32), NOW, false, null, randomBytes(32), NOW],
    ...[limit, getFirstChallengeId(NOW), getCountedIdEnd(NOW), ...createEvent(REGISTRATION, NOW).values],
  ]);
  return row!;
}

const FREE = { challenge_in_the_way: null, refusal_in_the_way: null };

async function rows(): Promise<number[]> {
  const entities = [ChallengeEntity, UserHandleEntity, AuditEventEntity];
  return Promise.all(entities.map((entity) => database.dataSource.getRepository(entity).count()));
}

describe('challenges of the last minute', () => {
  it('leave room for one more up to the limit, and at the limit the oldest blocks', async () => {
    await insertIssued(50_000, 10_000);
    expect(await issueAuthentication()).toMatchObject({ ...FREE, expires_at: expect.any(Date) });
    const { challenge_in_the_way: oldest, expires_at: expiry } = await issueAuthentication();
    expect([parseIdTime(oldest!), expiry]).toEqual([subtractFromNow(50_000).getTime(), null]);
  });

  it('are all counted when a stricter policy finds more than it allows, and the one that must expire blocks', async () => {
    const ids = await insertIssued(50_000, 40_000, 30_000, 20_000, 10_000);
    expect(await issueAuthentication()).toMatchObject({ challenge_in_the_way: ids[5 - CHALLENGES] });
  });

  it.each([
    ['authentication', MINUTE - 1, false],
    ['authentication', MINUTE, true],
    ['registration', MINUTE - 1, false],
    ['registration', MINUTE, true],
  ])('count for a minute: %s after %i ms → free: %s', async (ceremony, oldest, free) => {
    await insertPastEvents({ facts: { ceremony } }, oldest, 2, 1);
    const { challenge_in_the_way } = await (ceremony === 'registration' ? issueRegistration() : issueAuthentication());
    expect(challenge_in_the_way === null).toBe(free);
  });

  it('store nothing more, also for a registration', async () => {
    const [oldest] = await insertIssued(30_000, 20_000, 10_000);
    expect(await issueAuthentication()).toMatchObject({ challenge_in_the_way: oldest, expires_at: null });
    const [first] = await insertPastEvents(REGISTRATION, 30_000, 20_000, 10_000);
    expect(await issueRegistration()).toEqual({ ...FREE, challenge_in_the_way: first, handle: null });
    expect(await rows()).toEqual([0, 0, 6]);
  });

  it('of one ceremony do not count for the other, even if the purpose reads like it', async () => {
    await insertIssued(3, 2, 1);
    expect(await issueRegistration()).toMatchObject({ handle: expect.any(Buffer) });
    await database.sql('TRUNCATE audit_event');
    const facts = { ceremony: 'registration', purpose: '"ceremony":"authentication"' };
    await insertPastEvents({ facts }, 3, 2, 1);
    expect(await issueAuthentication()).toMatchObject({ ...FREE, expires_at: expect.any(Date) });
  });

  it.each<[string, Partial<AuditEntry>]>([
    ['another user', { userId: 'other' }],
    ['another relying party', { rpId: 'b.example' }],
    ['nobody', { userId: undefined }],
    ['a policy that refused to issue them', { outcome: 'failure' }],
  ])('of %s do not count', async (_, entry) => {
    await insertPastEvents(entry, 3, 2, 1);
    await insertPastEvents({ ...entry, ...REGISTRATION }, 3, 2, 1);
    expect(await issueAuthentication()).toMatchObject(FREE);
    expect(await issueRegistration()).toMatchObject({ handle: expect.any(Buffer) });
  });

  it('do not count for a request that names no user', async () => {
    await insertIssued(3, 2, 1);
    await insertPastEvents({ userId: undefined }, 3, 2, 1);
    expect(await issueAuthentication(RP, null)).toMatchObject({ ...FREE, expires_at: expect.any(Date) });
  });
});

describe('refusals in a row', () => {
  it('leave room up to the limit, and at the limit the last of them blocks', async () => {
    await insertRefused(4, 3, 2);
    expect(await issueAuthentication()).toMatchObject(FREE);
    const [last] = await insertRefused(1);
    expect(await issueAuthentication()).toMatchObject({ refusal_in_the_way: last, expires_at: null });
    expect(await rows()).toEqual([1, 0, 5]);
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
    expect((await issueAuthentication()).expires_at !== null).toBe(free);
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
    expect((await issueAuthentication()).expires_at !== null).toBe(free);
  });

  it.each<[string, Partial<CredentialEntity>]>([
    ['another user', { userId: 'other' }],
    ['the user at another relying party', { userId: USER, rpId: 'b.example' }],
  ])('are not ended by a success of %s', async (_, credential) => {
    await insertRefused(4, 3, 2, 1);
    await database.dataSource
      .getRepository(CredentialEntity)
      .insert(makeCredentialRow({ ...credential, lastUsedAt: NOW }));
    expect((await issueAuthentication()).expires_at).toBeNull();
  });

  it.each<[string, Partial<AuditEntry>]>([
    ['another user', { ...REFUSAL, userId: 'other' }],
    ['another relying party', { ...REFUSAL, rpId: 'b.example' }],
    ['a registration', { ...REFUSAL, type: 'credential.register' }],
    ['nobody', { ...REFUSAL, userId: undefined }],
  ])('of %s do not count', async (_, entry) => {
    await insertPastEvents(entry, 4, 3, 2, 1);
    expect(await issueAuthentication()).toMatchObject(FREE);
  });

  it('keep no user from registering, and no request from an authentication that names no user', async () => {
    await insertRefused(4, 3, 2, 1);
    expect(await issueRegistration()).toMatchObject({ handle: expect.any(Buffer) });
    expect(await issueAuthentication(RP, null)).toMatchObject({ ...FREE, expires_at: expect.any(Date) });
  });
});

describe('a relying party that was stored before there were limits', () => {
  it.each<[string, Partial<AuditEntry>, number]>([
    ['120 challenges', {}, 120],
    ['100 refusals', REFUSAL, 100],
  ])('has the default: %s', async (_, entry, limit) => {
    const rpId = 'before.example';
    await insertPastEvents({ ...entry, rpId }, ...Array<number>(limit - 1).fill(1));
    expect(await issueAuthentication(rpId, USER, entry === REFUSAL ? PSEUDONYM : 'somebody else')).toMatchObject(FREE);
    await insertPastEvents({ ...entry, rpId }, 1);
    expect((await issueAuthentication(rpId)).expires_at).toBeNull();
  });
});

describe('the limit on records', () => {
  const LIMIT = { type: 'challenge.limit', outcome: 'failure' } as const;
  const recordLimit = async (entry: Partial<AuditEntry> = {}, ceremony = 'authentication') => {
    const { id, values } = createEvent({ ...LIMIT, facts: { ceremony }, ...entry }, NOW);
    const written = await RECORD_LIMIT.run(database.dataSource, [...values, getFirstChallengeId(NOW), ceremony]);
    return { id, values, written };
  };

  it('records a user once a minute', async () => {
    await insertPastEvents(LIMIT, MINUTE);
    const { id, values, written } = await recordLimit();
    expect(written).toEqual([{ id }]);
    const [stored] = await database.sql<Record<string, unknown>>('SELECT * FROM audit_event WHERE id = $1', [id]);
    expect(Object.values(stored!)).toEqual(expect.arrayContaining(values.slice(0, AUDIT_ROW_WIDTH)));
    expect((await recordLimit()).written).toEqual([]);
    expect((await rows())[2]).toBe(2);
  });

  it('records each ceremony', async () => {
    for (const ceremony of ['authentication', 'registration']) {
      expect((await recordLimit({}, ceremony)).written).toHaveLength(1);
      expect((await recordLimit({}, ceremony)).written).toEqual([]);
    }
  });

  it('records each user of each relying party', async () => {
    for (const entry of [{}, { userId: 'other' }, { rpId: 'b.example' }]) {
      expect((await recordLimit(entry)).written).toHaveLength(1);
    }
  });
});

describe('UUIDv7 ids', () => {
  it('contain their time', () => {
    const { id } = createEvent({}, NOW);
    expect(parseIdTime(id)).toBe(NOW.getTime());
  });

  it('begin after a time, so that a window does not contain its own edge', () => {
    const listWindowTimes = (now: Date): number[] =>
      [getFirstChallengeId(now), ...getFirstRefusalIds(now)].map(parseIdTime);
    expect(listWindowTimes(NOW).map((time) => NOW.getTime() - time)).toEqual(
      [1, 30, 60].map((minutes) => minutes * MINUTE - 1),
    );
    expect(listWindowTimes(new Date(0))).toEqual([0, 0, 0]);
  });
});
