import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import canonicalize from 'canonicalize';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeApprovals } from '../../test/support/fake-approvals.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { Metrics } from '../telemetry/metrics.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { DEFAULT_POLICY } from './relying-party-policy.js';
import { RelyingPartyAdoption } from './relying-party-adoption.js';
import { RelyingPartyCopies } from './relying-party-copies.js';
import { RelyingPartyEntity } from './relying-party.entity.js';
import { RelyingPartySeals } from './relying-party-seals.js';

Logger.overrideLogger(false);

const clock = { now: () => new Date('2026-06-30T12:00:00.000Z') };
const [RP_ID, OTHER] = ['login.example.com', 'other.example.com'];
const SETTINGS = { name: 'Example', origins: [`https://${RP_ID}`] };

let database: TestDataSource;
let recorded: FakeAudit;
let parties: RelyingPartiesService;
let copies: RelyingPartyCopies;
beforeAll(async () => {
  database = await openTestDataSource();
  // The owner of the tables may drop a constraint.
  await database.sql('ALTER TABLE relying_party DROP CONSTRAINT relying_party_successor');
});
beforeEach(async () => {
  await database.sql('TRUNCATE relying_party, key_check_value, audit_event');
  recorded = new FakeAudit(clock);
  const audit = new AuditService(database.dataSource, clock, new Metrics(), TEST_KEYS, makeSeals());
  const seals = new RelyingPartySeals(makeSeals(), recorded.refusals);
  parties = new RelyingPartiesService(
    database.dataSource.getRepository(RelyingPartyEntity),
    clock,
    audit,
    new FakeApprovals().service,
    seals,
  );
  copies = new RelyingPartyCopies(parties, () => 0);
  for (const rpId of [RP_ID, OTHER]) await parties.put(null, rpId, SETTINGS);
});
afterAll(() => database.close());

const update = (set: string): Promise<unknown> =>
  database.sql(`UPDATE relying_party SET ${set} WHERE rp_id = $1`, [RP_ID]);
const listNames = async (): Promise<string[]> => (await parties.list(makeAuthorizedContext())).map(({ rpId }) => rpId);
const readSeal = async (rpId = RP_ID): Promise<Buffer | null> => {
  const [row] = await database.sql<{ seal: Buffer | null }>('SELECT seal FROM relying_party WHERE rp_id = $1', [rpId]);
  return row!.seal;
};

/** A change of each column, and of each part of the policy that weakens verification. */
const CHANGES = [
  `rp_id = 'attacker.example'`,
  `name = 'Another'`,
  `origins = origins || '{https://attacker.example}'`,
  `origins = '{}'`,
  'enabled = FALSE',
  `policy = jsonb_set(policy, '{userVerification}', '"discouraged"')`,
  `policy = jsonb_set(policy, '{userLimits,refusalsPerHalfHour}', '1000')`,
  `policy = policy - 'attestation'`,
  `policy = policy || '{"extra": true}'`,
  `policy = '{}'`,
  `policy = 'null'`,
  `policy = '[]'`,
  `policy = policy || '{"backup": 1e400}'`,
  `policy = policy || '{"authenticators": null}'`,
  `policy = policy || '{"purposes": {"pay": {"userVerification": "discouraged"}}}'`,
  `policy = policy || '{"purposes": {"pay": null}}'`,
  `policy = policy - 'purposes'`,
  `successor = '{"rpId": "attacker.example", "endsAt": null, "registrations": "accept"}'`,
  `successor = '{}'`,
  `successor = 'true'`,
  `successor = '[1e400]'`,
  `created_at = 'infinity'`,
  'version = version + 1',
  `created_at = created_at - interval '1 ms'`,
  `updated_at = updated_at + interval '1 ms'`,
  `seal = NULL`,
  `seal = ''`,
  `seal = decode(repeat('00', 32), 'hex')`,
  `seal = seal || '\\x00'`,
  `seal = (SELECT seal FROM relying_party WHERE rp_id = '${OTHER}')`,
];

describe('a relying party that SQL changed', () => {
  it.each(CHANGES)('counts as absent, and the audit log says so: %s', async (change) => {
    await update(change);
    const rpId = change.startsWith('rp_id') ? 'attacker.example' : RP_ID;
    for (const read of [parties.get(rpId), copies.getEnabled(rpId), copies.getSealed(rpId, await readSeal(rpId))])
      await expect(read).rejects.toMatchObject({ slug: 'relying-party-unknown' });
    expect(await listNames()).toEqual([OTHER]);
    expect(recorded.entries).toContainEqual(
      expect.objectContaining({ type: 'relying-party.tampered', outcome: 'failure', rpId }),
    );
  });

  it.each([...CHANGES.filter((change) => !change.startsWith('rp_id')), 'version = 2147483647', 'version = -1'])(
    'is as it should be after a PUT, even of the same settings: %s',
    async (change) => {
      await update(change);
      await parties.put(null, RP_ID, SETTINGS);
      expect(await parties.get(RP_ID)).toMatchObject({ ...SETTINGS, enabled: true, policy: DEFAULT_POLICY });
    },
  );
});

describe('a relying party with a successor', () => {
  const endsAt = '2027-01-01T00:00:00.000Z';

  it.each([
    'successor = NULL',
    `successor = jsonb_set(successor, '{rpId}', '"attacker.example"')`,
    `successor = jsonb_set(successor, '{endsAt}', 'null')`,
    `successor = jsonb_set(successor, '{endsAt}', '"2026-01-01T00:00:00.000Z"')`,
    `successor = jsonb_set(successor, '{registrations}', '"refuse"')`,
    `successor = successor - 'endsAt'`,
    `successor = (SELECT jsonb_build_array(successor))`,
  ])('counts as absent if SQL changes that: %s', async (change) => {
    await parties.put(null, RP_ID, { ...SETTINGS, successor: { rpId: OTHER, endsAt } });
    expect(await listNames()).toEqual([RP_ID, OTHER]);
    await update(change);
    expect(await listNames()).toEqual([OTHER]);
  });

  it('has a seal of another form, and one without keeps the form that the version before knows', async () => {
    const { name, origins, enabled, policy, version, createdAt, updatedAt, seal } = await parties.get(RP_ID);
    const parts = [RP_ID, name, origins, enabled, canonicalize(policy), version, createdAt, updatedAt];
    const kind = 'relying-party' as const;
    expect(makeSeals().isGenuine({ kind, parts }, seal)).toBe(true);
    await parties.put(null, RP_ID, { ...SETTINGS, successor: { rpId: OTHER } });
    const named = await parties.get(RP_ID);
    const successor = canonicalize(named.successor);
    const changed = [...parts.slice(0, 5), 2, named.createdAt, named.updatedAt];
    expect(makeSeals().isGenuine({ kind, parts: changed }, named.seal)).toBe(false);
    expect(makeSeals().isGenuine({ kind, parts: [...changed, successor] }, named.seal)).toBe(true);
  });
});

describe('the copy of a relying party', () => {
  it('serves those who have read the same seal, although SQL changes the row meanwhile', async () => {
    const party = await copies.getEnabled(RP_ID);
    await update(`origins = '{https://attacker.example}'`);
    expect(await copies.getSealed(RP_ID, await readSeal())).toBe(party);
  });

  it('is not used by those who have read another seal, so nobody is judged by settings of the past', async () => {
    await copies.getEnabled(RP_ID);
    await parties.put(null, RP_ID, { ...SETTINGS, name: 'New' });
    expect(await copies.getSealed(RP_ID, await readSeal())).toMatchObject({ name: 'New', version: 2 });
  });
});

describe('the first start of a version with seals', () => {
  const adopt = (): Promise<void> => {
    const audit = new AuditService(database.dataSource, clock, new Metrics(), TEST_KEYS, makeSeals());
    const seals = new RelyingPartySeals(makeSeals(), recorded.refusals);
    return new RelyingPartyAdoption(database.dataSource, TEST_KEYS, seals, audit).onModuleInit();
  };
  const listSealed = async (): Promise<(string | undefined)[]> => {
    const events = await database.dataSource.getRepository(AuditEventEntity).findBy({ type: 'relying-party.seal' });
    return events.map(({ rpId }) => rpId ?? undefined);
  };

  it('seals the relying parties that are there, and records each with its settings', async () => {
    await update(`seal = NULL, policy = policy - 'userLimits'`);
    await adopt();
    expect(await listNames()).toEqual([RP_ID, OTHER]);
    expect(await listSealed()).toEqual([RP_ID]);
  });

  it('seals more relying parties than one read returns', async () => {
    await database.sql(`INSERT INTO relying_party SELECT 'rp' || i || '.example', 'n', '{}', TRUE, '{}', 1, now(), now()
      FROM generate_series(1, 1005) AS i`);
    await adopt();
    expect(await listSealed()).toHaveLength(1_005);
  });

  it('accepts a later PUT of a relying party whose policy lacks members', async () => {
    await update(`seal = NULL, policy = policy - 'userLimits'`);
    await adopt();
    await parties.put(null, RP_ID, { ...SETTINGS, name: 'New' });
    expect(await parties.get(RP_ID)).toMatchObject({ name: 'New', version: 2 });
  });

  it('is once, so a seal that is removed later stays missing', async () => {
    await adopt();
    await update('seal = NULL');
    await adopt();
    expect(await listNames()).toEqual([OTHER]);
  });

  it('is once for replicas that start together', async () => {
    await update('seal = NULL');
    await Promise.all([adopt(), adopt(), adopt()]);
    expect(await listSealed()).toEqual([RP_ID]);
  });

  it('does not seal again what SQL has changed before', async () => {
    await update(`origins = '{https://attacker.example}'`);
    await adopt();
    expect(await listNames()).toEqual([OTHER]);
  });
});
