import { FakeApprovals } from '../../test/support/fake-approvals.js';
import { makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { Metrics } from '../telemetry/metrics.js';
import type { PutRelyingPartyDto } from './dto/put-relying-party.dto.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { DEFAULT_POLICY } from './relying-party-policy.js';
import { RelyingPartyEntity } from './relying-party.entity.js';
import { RelyingPartySeals } from './relying-party-seals.js';

Logger.overrideLogger(false);

const NOW = new Date('2026-06-30T12:00:00.000Z');
const RP_ID = 'login.example.com';
const SETTINGS = { name: 'Example', origins: [`https://${RP_ID}`] };

let database: TestDataSource;
let now: Date;
let seals: RelyingPartySeals;
let parties: RelyingPartiesService;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  now = NOW;
  const clock = { now: () => now };
  seals = new RelyingPartySeals(makeSeals(), new FakeAudit().refusals);
  const audit = new AuditService(database.dataSource, clock, new Metrics(), TEST_KEYS, makeSeals());
  parties = new RelyingPartiesService(
    database.dataSource.getRepository(RelyingPartyEntity),
    clock,
    audit,
    new FakeApprovals().service,
    seals,
  );
  await database.sql('TRUNCATE relying_party, audit_event');
});
afterAll(() => database.close());

const put = (settings: Partial<PutRelyingPartyDto> = {}, rpId = RP_ID) =>
  parties.put(makeAuthorizedContext(), rpId, { ...SETTINGS, ...settings });

async function listRecorded(): Promise<[string, unknown][]> {
  const events = await database.dataSource.getRepository(AuditEventEntity).find({ order: { id: 'ASC' } });
  return events.map(({ type, event }) => [type, (JSON.parse(event) as { unmapped: unknown }).unmapped]);
}

describe('a PUT of a relying party', () => {
  it('creates it with a default for every omitted member', async () => {
    const { party, created } = await put();
    expect(created).toBe(true);
    expect(party).toEqual({
      rpId: RP_ID,
      name: 'Example',
      origins: [`https://${RP_ID}`],
      enabled: true,
      policy: DEFAULT_POLICY,
      successor: null,
      version: 1,
      createdAt: NOW,
      updatedAt: NOW,
      seal: expect.any(Buffer),
    });
    expect(await parties.get(RP_ID)).toEqual(party);
  });

  it('changes nothing and records nothing when it repeats the settings', async () => {
    await put();
    now = new Date(NOW.getTime() + 1_000);
    for (const settings of [
      {},
      { enabled: true },
      { policy: {} },
      { policy: { userVerification: 'required' as const } },
    ]) {
      const { party, created } = await put(settings);
      expect([party.version, party.updatedAt, created]).toEqual([1, NOW, false]);
    }
    expect((await listRecorded()).map(([type]) => type)).toEqual(['relying-party.create']);
  });

  it('of its own representation changes nothing', async () => {
    const { party } = await put({
      policy: { algorithms: [-7], crossOrigin: { allow: true, topOrigins: ['https://a.example'] } },
    });
    const { rpId, createdAt, updatedAt, ...got } = party;
    const again = await put({
      ...got,
      rpId,
      createdAt: createdAt.toISOString(),
      updatedAt: updatedAt.toISOString(),
    } as never);
    expect([again.created, again.party.version]).toEqual([false, 1]);
  });

  it('with other settings changes it, and the record has the new settings', async () => {
    await put();
    now = new Date(NOW.getTime() + 1_000);
    const { party, created } = await put({ name: 'Other', enabled: false });
    expect([created, party.version, party.createdAt, party.updatedAt]).toEqual([false, 2, NOW, now]);
    expect(await listRecorded()).toEqual([
      ['relying-party.create', { rp_id: RP_ID, version: 1, ...SETTINGS, enabled: true, policy: DEFAULT_POLICY }],
      [
        'relying-party.update',
        { rp_id: RP_ID, version: 2, ...SETTINGS, name: 'Other', enabled: false, policy: DEFAULT_POLICY },
      ],
    ]);
  });

  it('replaces it, so that an omitted member takes its default again', async () => {
    await put({ enabled: false, policy: { backup: 'synced', attestation: { trust: 'trusted' } } });
    const { party } = await put();
    expect([party.enabled, party.policy]).toEqual([true, DEFAULT_POLICY]);
  });

  it('affects no other relying party', async () => {
    await put();
    await put({ name: 'Other' }, 'b.example');
    expect((await parties.get(RP_ID)).name).toBe('Example');
  });
});

describe('the defaults of a policy', () => {
  it('are the strict ones', () => {
    expect(DEFAULT_POLICY).toMatchObject({
      userVerification: 'required',
      residentKey: 'required',
      signCountRegression: 'reject',
      allowSha1Tpm: false,
      crossOrigin: { allow: false, topOrigins: [] },
      identityProof: { required: true, maxAgeSeconds: 900 },
      maxCredentialsPerUser: 20,
      challengeTtlSeconds: 300,
      algorithms: [-48, -8, -7, -257],
      userLimits: { challengesPerMinute: 120, refusalsPerHalfHour: 100 },
    });
  });

  it.each<[string, NonNullable<PutRelyingPartyDto['policy']>, object]>([
    ['a member', { challengeTtlSeconds: 60 }, { challengeTtlSeconds: 60 }],
    ['a list, whole', { algorithms: [-7] }, { algorithms: [-7] }],
    [
      'an inner member',
      { attestation: { conveyance: 'direct' } },
      { attestation: { ...DEFAULT_POLICY.attestation, conveyance: 'direct' } },
    ],
    [
      'an inner list, whole',
      { attestation: { formats: ['packed'] } },
      { attestation: { ...DEFAULT_POLICY.attestation, formats: ['packed'] } },
    ],
    [
      'an inner member of two',
      { identityProof: { required: false } },
      { identityProof: { required: false, maxAgeSeconds: 900 } },
    ],
    [
      'one limit of two',
      { userLimits: { refusalsPerHalfHour: 10 } },
      { userLimits: { challengesPerMinute: 120, refusalsPerHalfHour: 10 } },
    ],
    [
      'a member that has no default',
      { authenticators: { deny: ['x'] } },
      { authenticators: { unknown: 'allow', deny: ['x'] } },
    ],
    ['an empty object', { crossOrigin: {} }, {}],
    ['an inner member that is undefined', { crossOrigin: { allow: undefined } as never }, {}],
    ['a member that is undefined', { backup: undefined } as never, {}],
  ])('are used for all members but %s', async (_, policy, changed) => {
    expect((await put({ policy })).party.policy).toEqual({ ...DEFAULT_POLICY, ...changed });
  });

  it('are read when a policy was stored before it had a member, and the same PUT changes nothing', async () => {
    const { party } = await put();
    const { userLimits, ...older } = party.policy;
    const { seal } = seals.seal(party, older);
    await database.sql('UPDATE relying_party SET policy = $1, seal = $2', [older, seal]);
    expect(userLimits).toEqual(DEFAULT_POLICY.userLimits);
    expect(await parties.get(RP_ID)).toEqual(party);
    expect(await parties.list(makeAuthorizedContext())).toEqual([party]);
    expect((await put()).party).toEqual(party);
  });

  it('are not changed by their users', async () => {
    const before = structuredClone(DEFAULT_POLICY);
    await put({ policy: { attestation: { formats: ['none'] }, authenticators: { allow: [] } } });
    expect(DEFAULT_POLICY).toEqual(before);
  });
});

describe('a version', () => {
  it.each<[number | undefined, number, boolean]>([
    [undefined, 0, true],
    [undefined, 2, true],
    [2, 2, true],
    [1, 2, false],
    [3, 2, false],
    [1, 0, false],
  ])('of %s is written over version %i: %s', async (version, stored, written) => {
    for (let count = 1; count <= stored; count += 1) await put({ name: String(count) });
    const attempt = put({ name: 'new', ...(version !== undefined && { version }) });
    if (written) expect((await attempt).party).toMatchObject({ name: 'new', version: stored + 1 });
    else
      await expect(attempt).rejects.toMatchObject({
        slug: 'relying-party-conflict',
        message: `its version is ${String(stored)}`,
      });
  });

  it('that is not the stored one is a conflict, also when nothing would change', async () => {
    await put();
    await expect(put({ version: 7 })).rejects.toMatchObject({ slug: 'relying-party-conflict' });
  });

  it('accepts one of ten concurrent changes', async () => {
    await put();
    const attempts = Array.from({ length: 10 }, (_, index) => put({ version: 1, name: String(index) }));
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await parties.get(RP_ID)).version).toBe(2);
    expect(await listRecorded()).toHaveLength(2);
  });
});

describe('concurrent PUTs without a version', () => {
  it('of a new one create it once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => put()));
    expect(outcomes.filter(({ created }) => created)).toHaveLength(1);
    expect((await listRecorded()).map(([type]) => type)).toEqual(['relying-party.create']);
  });

  it('of different settings are applied one after the other: none is lost, each is recorded', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, index) => put({ name: String(index) })));
    expect((await parties.get(RP_ID)).version).toBe(10);
    expect(await listRecorded()).toHaveLength(10);
  });
});

describe('a relying party', () => {
  it('that does not exist is unknown', async () => {
    await expect(parties.get(RP_ID)).rejects.toMatchObject({ slug: 'relying-party-unknown' });
    await expect(parties.getEnabled(RP_ID)).rejects.toMatchObject({ slug: 'relying-party-unknown' });
  });

  it('that is disabled exists, and is denied', async () => {
    await put({ enabled: false });
    expect((await parties.get(RP_ID)).enabled).toBe(false);
    await expect(parties.getEnabled(RP_ID)).rejects.toMatchObject({ slug: 'relying-party-denied' });
  });

  it.each<[readonly string[] | null, string[]]>([
    [null, ['a.example', 'b.example', 'c.example']],
    [
      ['c.example', 'a.example', 'z.example'],
      ['a.example', 'c.example'],
    ],
    [[], []],
  ])('is listed for a caller that is limited to %j: %j', async (relyingParties, listed) => {
    for (const rpId of ['c.example', 'a.example', 'b.example']) await put({}, rpId);
    const found = await parties.list(makeAuthorizedContext({}, relyingParties));
    expect(found.map(({ rpId }) => rpId)).toEqual(listed);
  });
});
