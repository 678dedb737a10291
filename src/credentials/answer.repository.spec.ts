import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import {
  type Asked,
  makeIssueInput,
  CALLER,
  makeEventRow,
  NOW,
  openHotPathDatabase,
  makeAcceptInput,
} from '../../test/support/ceremony-rows.js';
import type { TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { ChallengeEntity } from '../challenges/challenge.entity.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialEntity } from './credential.entity.js';
import { DEFAULT_POLICY } from '../relying-parties/relying-party-policy.js';
import { ACCEPT_AUTHENTICATION, readCredential, REDEEM } from './answer.repository.js';
import { ISSUE_AUTHENTICATION, ISSUE_REGISTRATION } from '../challenges/challenge.repository.js';
import type { Queryable } from '../database/named-statement.js';
import { getCountedIdEnd, getFirstChallengeId } from '../challenges/user-limits.repository.js';

let database: TestDataSource;
beforeAll(async () => {
  database = await openHotPathDatabase();
});
afterAll(() => database.close());

const repository = {
  credentials: () => database.dataSource.getRepository(CredentialEntity),
  challenges: () => database.dataSource.getRepository(ChallengeEntity),
};
const isRecorded = (id: string): Promise<boolean> =>
  database.dataSource.getRepository(AuditEventEntity).existsBy({ id });

async function insertCredential(changed: Partial<CredentialEntity> = {}): Promise<CredentialEntity> {
  const row = makeCredentialRow(changed);
  await repository.credentials().insert(row);
  return row;
}

interface Issue extends Asked {
  through?: Queryable;
}

async function issueAuthentication({ through = database.dataSource, ...asked }: Issue = {}) {
  const row = makeIssueInput({ userId: 'u-1', ...asked });
  const [result] = await ISSUE_AUTHENTICATION.run(through, [row]);
  return { id: row.id, challenge: row.challenge, event: row.event.id, result };
}

async function issueRegistration(userId: string, through: Queryable = database.dataSource) {
  const [id, challenge, recorded] = [randomUUID(), randomBytes(32), makeEventRow()];
  const expiry = new Date(NOW.getTime() + 60_000);
  const rows = await ISSUE_REGISTRATION.run(through, [
    ...[id, 'a.example', userId, null, CALLER, challenge, expiry, true, 'platform', randomBytes(32), NOW],
    ...[100, getFirstChallengeId(NOW), getCountedIdEnd(NOW), ...recorded.values],
  ]);
  return { id, challenge, event: recorded.id, expiry, rows };
}

const redeemChallenge = (
  id: string,
  credentialId: Buffer = Buffer.alloc(1),
  caller = CALLER,
  relyingParties: string[] | null = null,
) =>
  REDEEM.run(database.dataSource, [{ challengeId: id, spiffeId: caller, relyingParties, credentialId }]).then(
    ([one]) => one,
  );

describe('ISSUE_AUTHENTICATION', () => {
  it('stores the challenge and its event, and returns the descriptors, the newest first', async () => {
    const userId = randomUUID();
    const [active, second] = [await insertCredential({ userId }), await insertCredential({ userId, transports: [] })];
    await insertCredential({ userId, status: 'suspended' });
    await insertCredential({ userId, status: 'revoked' });
    await insertCredential({ userId, rpId: 'b.example' });
    const { id, challenge, event, result } = await issueAuthentication({ userId });
    expect(result).toEqual({
      n: 1,
      policy: { ...DEFAULT_POLICY, challengeTtlSeconds: 120 },
      expires_at: new Date(NOW.getTime() + 120_000),
      challenge_in_the_way: null,
      refusal_in_the_way: null,
      descriptors: [second, active].map(({ credentialId, transports }) => ({
        id: credentialId.toString('hex'),
        transports,
      })),
    });
    expect(await repository.challenges().findOneBy({ id })).toEqual({
      id,
      rpId: 'a.example',
      userId,
      ceremony: 'authentication',
      purpose: 'payment',
      challenge,
      issuedTo: CALLER,
      conditional: false,
      attachment: null,
      expiresAt: new Date(NOW.getTime() + 120_000),
    });
    expect(await isRecorded(event)).toBe(true);
  });

  it('returns no credentials for a user without any, and for no user', async () => {
    for (const userId of ['nobody', undefined]) {
      const { result } = await issueAuthentication({ userId });
      expect(result).toMatchObject({ descriptors: null });
    }
  });

  it.each(['off.example', 'unknown.example'])('leaves nothing behind for %s', async (rpId) => {
    const { id, event, result } = await issueAuthentication({ rpId });
    expect(result).toBeUndefined();
    expect(await repository.challenges().existsBy({ id })).toBe(false);
    expect(await isRecorded(event)).toBe(false);
  });
});

describe('ISSUE_REGISTRATION', () => {
  it('stores the challenge and its event, and returns the user’s handle', async () => {
    const { id, challenge, event, expiry, rows } = await issueRegistration('new');
    expect(rows).toEqual([expect.objectContaining({ handle: expect.any(Buffer), challenge_in_the_way: null })]);
    expect(await repository.challenges().findOneBy({ id })).toEqual({
      id,
      rpId: 'a.example',
      userId: 'new',
      ceremony: 'registration',
      purpose: null,
      challenge,
      issuedTo: CALLER,
      conditional: true,
      attachment: 'platform',
      expiresAt: expiry,
    });
    expect(await isRecorded(event)).toBe(true);
  });

  it('gives a user one handle for ever, however many requests begin at once', async () => {
    const issued = await Promise.all(Array.from({ length: 20 }, () => issueRegistration('crowd')));
    const handles = issued.map(({ rows }) => rows[0]?.handle?.toString('hex'));
    expect(new Set(handles).size).toBe(1);
    expect(await database.dataSource.getRepository(UserHandleEntity).countBy({ userId: 'crowd' })).toBe(1);
  });
});

describe('REDEEM', () => {
  it('gives a challenge to one of fifty concurrent answers', async () => {
    const { id } = await issueAuthentication();
    const answers = await Promise.all(Array.from({ length: 50 }, () => redeemChallenge(id)));
    expect(answers.filter((redeemed) => redeemed !== undefined)).toHaveLength(1);
    expect(await redeemChallenge(id)).toBeUndefined();
  });

  it('returns it with the credential as the repository would load it, and with the user’s handle', async () => {
    const userId = randomUUID();
    const { rows } = await issueRegistration(userId);
    const { id: credentialUid, credentialId } = await insertCredential({
      userId,
      signCount: 4_294_967_295,
      lastUsedAt: NOW,
    });
    const { id, challenge } = await issueAuthentication({ userId });
    const redeemed = await redeemChallenge(id, credentialId);
    expect(redeemed).toMatchObject({
      rp_id: 'a.example',
      user_id: userId,
      ceremony: 'authentication',
      purpose: 'payment',
      challenge,
      conditional: false,
      attachment: null,
      enabled: true,
      origins: ['https://a.example'],
      policy: { ...DEFAULT_POLICY, challengeTtlSeconds: 120 },
      handle: rows[0]?.handle,
    });
    const loaded = await repository.credentials().findOneByOrFail({ rpId: 'a.example', id: credentialUid });
    expect(readCredential(redeemed!)).toEqual(loaded);
  });

  it('returns it without a credential that is another relying party’s, or that does not exist', async () => {
    const { credentialId } = await insertCredential({ rpId: 'b.example' });
    for (const answered of [credentialId, randomBytes(32), Buffer.alloc(0)]) {
      const { id } = await issueAuthentication();
      const redeemed = await redeemChallenge(id, answered);
      expect(readCredential(redeemed!)).toBeUndefined();
    }
  });

  it('returns the handle of the credential’s user when the challenge named no user', async () => {
    const { rows } = await issueRegistration('discovered');
    const { credentialId } = await insertCredential({ userId: 'discovered' });
    const { id } = await issueAuthentication({ userId: undefined });
    expect(await redeemChallenge(id, credentialId)).toMatchObject({ user_id: null, handle: rows[0]?.handle });
  });

  it('returns the relying party as it is now, or that it is gone', async () => {
    const { id } = await issueAuthentication();
    await database.sql("UPDATE challenge SET rp_id = 'gone.example' WHERE id = $1", [id]);
    expect(await redeemChallenge(id)).toMatchObject({ policy: null, origins: null, enabled: null });
  });

  it.each<[string, string, string[] | null, number]>([
    ['the one who asked', CALLER, null, 1],
    ['the one who asked, limited to the relying party', CALLER, ['b.example', 'a.example'], 1],
    ['another service', 'spiffe://bank.example/other', null, 0],
    ['the one who asked, limited to others by now', CALLER, ['b.example'], 0],
    ['the one who asked, limited to none by now', CALLER, [], 0],
  ])('returns it to %s (%s, %j): %i', async (_, caller, relyingParties, count) => {
    const { id } = await issueAuthentication();
    expect((await redeemChallenge(id, undefined, caller, relyingParties)) !== undefined).toBe(count === 1);
    expect(await repository.challenges().existsBy({ id })).toBe(count === 0);
  });
});

describe('ACCEPT_AUTHENTICATION', () => {
  interface Accept {
    stored?: Partial<CredentialEntity>;
    received?: number;
    flag?: boolean;
    mac?: Buffer;
    rpId?: string;
  }

  async function acceptSignCount({ stored: row = {}, received = 0, flag = false, mac, rpId = 'a.example' }: Accept) {
    const credential = await insertCredential(row);
    const recorded = makeEventRow('credential.verify');
    const later = new Date(NOW.getTime() + 1_000);
    const { id, bindingMac } = credential;
    const [result] = await ACCEPT_AUTHENTICATION.run(database.dataSource, [
      {
        credential: { rpId, id, bindingMac: mac ?? bindingMac },
        signCount: received,
        backedUp: true,
        now: later,
        flag,
        event: recorded,
        backupEligible: true,
        bindingMac,
      },
    ]);
    const after = await repository.credentials().findOneByOrFail({ id: credential.id });
    return { credential, result, after, recorded: await isRecorded(recorded.id), later };
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
      const { result, after, recorded, later } = await acceptSignCount({ stored: { signCount }, received, flag });
      const accepted = outcome !== 'refused';
      expect(result).toEqual(accepted ? { n: 1, sign_count: outcome } : undefined);
      expect(after.signCount).toBe(accepted ? outcome : signCount);
      expect([after.backedUp, after.lastUsedAt]).toEqual(accepted ? [true, later] : [false, null]);
      expect(recorded).toBe(accepted);
    },
  );

  it.each<[string, Accept]>([
    ['is suspended by now', { stored: { status: 'suspended' } }],
    ['is revoked by now', { stored: { status: 'revoked' } }],
    ['has another seal by now', { mac: randomBytes(32) }],
    ['is another relying party’s', { rpId: 'b.example' }],
  ])('leaves a credential that %s alone, even when counts are only flagged', async (_, attempt) => {
    for (const flag of [false, true]) {
      const { credential, result, after, recorded } = await acceptSignCount({ ...attempt, received: 1, flag });
      expect([result, recorded]).toEqual([undefined, false]);
      expect(after).toEqual(credential);
    }
  });

  it('changes nothing but the count, the backup state and the last use', async () => {
    const { credential, after, later } = await acceptSignCount({ stored: { signCount: 1 }, received: 2 });
    expect(after).toEqual(Object.assign(credential, { signCount: 2, backedUp: true, lastUsedAt: later }));
  });

  it('accepts one of twenty answers with the same count, so that a clone is noticed', async () => {
    const credential = await insertCredential({ signCount: 7 });
    const accepted = await Promise.all(
      Array.from({ length: 20 }, () =>
        ACCEPT_AUTHENTICATION.run(database.dataSource, [makeAcceptInput(credential, 8)]),
      ),
    );
    expect(accepted.filter(([result]) => result !== undefined)).toHaveLength(1);
  });
});

describe('commits', () => {
  const readCommitMode = (run: (through: Queryable) => Promise<unknown>): Promise<string> =>
    database.dataSource.transaction(async (manager) => {
      await run(manager);
      const [row] = await manager.query<{ mode: string }[]>("SELECT current_setting('synchronous_commit') AS mode");
      return row!.mode;
    });

  it.each<[string, string, (through: Queryable) => Promise<unknown>]>([
    ['ISSUE_AUTHENTICATION', 'off', (through) => issueAuthentication({ through })],
    ['ISSUE_REGISTRATION', 'off', (through) => issueRegistration('async', through)],
    [
      'REDEEM',
      'off',
      async (through) =>
        REDEEM.run(through, [
          {
            challengeId: (await issueAuthentication()).id,
            spiffeId: CALLER,
            relyingParties: null,
            credentialId: Buffer.alloc(1),
          },
        ]),
    ],
    [
      'ACCEPT_AUTHENTICATION',
      'on',
      (through) =>
        ACCEPT_AUTHENTICATION.run(through, [
          makeAcceptInput({ rpId: 'a', id: randomUUID(), bindingMac: Buffer.alloc(1) }, 0),
        ]),
    ],
  ])('of %s are synchronous: %s', async (_, mode, run) => {
    expect(await readCommitMode(run)).toBe(mode);
    expect(await readCommitMode(() => Promise.resolve())).toBe('on');
  });
});

describe('every event that the hot statements record', () => {
  it('is pending with its hash, and nothing else is', async () => {
    const differing = await database.sql(
      `SELECT FROM audit_event e FULL JOIN audit_pending p ON event_id = id WHERE e.leaf_hash IS DISTINCT FROM p.leaf_hash`,
    );
    const [row] = await database.sql<{ types: string[] }>('SELECT array_agg(DISTINCT type) AS types FROM audit_event');
    expect(differing).toEqual([]);
    expect(row?.types).toEqual(expect.arrayContaining(['challenge.issue', 'credential.verify']));
  });
});
