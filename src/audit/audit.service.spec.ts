import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { validate as isUuid } from 'uuid';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSealKeys, makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { until } from '../../test/support/until.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import type { Queryable } from '../database/named-statement.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { DEFAULT_POLICY } from '../relying-parties/relying-party-policy.js';
import { readKeyId } from '../seals/seal.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuditEventEntity } from './audit-event.entity.js';
import { hashLeaf } from '../tlog/merkle.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { INSERT_EVENT } from './audit-event.repository.js';
import { AuditService } from './audit.service.js';
import { describeEvent } from './event-macs.js';
import { deriveStandIn, findUserIds } from './pseudonyms.js';
import { UserSeals } from './user-seals.js';
import { recordMigrations } from '../audit-log/begin-log.js';

Logger.overrideLogger(false);

const NOW = new Date('2026-06-30T12:34:56.789Z');
const READ = { type: 'audit.read', outcome: 'success' } as const;

let database: TestDataSource;
let audit: AuditService;
let metrics: Metrics;

beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  metrics = new Metrics();
  audit = new AuditService(database.dataSource, { now: () => NOW }, metrics, TEST_KEYS, makeSeals());
  await database.sql('TRUNCATE audit_event, relying_party');
});
afterAll(() => database.close());

const findEvents = () => database.dataSource.getRepository(AuditEventEntity).find({ order: { id: 'ASC' } });
const readCounts = async () => (await metrics.events.get()).values.map(({ value, labels }) => ({ value, ...labels }));
const createParty = (rpId: string) => ({
  rpId,
  name: rpId,
  origins: [],
  enabled: true,
  policy: DEFAULT_POLICY,
  version: 1,
  createdAt: NOW,
  updatedAt: NOW,
});

describe('an audit record', () => {
  it('is in the log, with its hash, when the call returns', async () => {
    const id = await audit.record(makeAuthorizedContext(), {
      ...READ,
      detail: 'é 😀 \u0000 \\u0000 "',
      rpId: 'a.example',
    });
    const [event, ...others] = await findEvents();
    expect(others).toEqual([]);
    expect(event).toMatchObject({ id, type: 'audit.read', outcome: 'success', rpId: 'a.example' });
    expect(event?.leafHash).toEqual(hashLeaf(event?.event ?? ''));
    expect(JSON.parse(event?.event ?? '')).toMatchObject({
      status_detail: 'é 😀 \u0000 \\u0000 "',
      metadata: { uid: id },
    });
    expect(isUuid(id)).toBe(true);
  });

  it('is counted after it is written', async () => {
    await audit.record(null, { ...READ, outcome: 'failure', reason: 'x' });
    await audit.record(null, READ);
    expect(await readCounts()).toEqual([
      { value: 1, type: 'audit.read', outcome: 'failure', reason: 'x' },
      { value: 1, type: 'audit.read', outcome: 'success', reason: '' },
    ]);
  });
});

describe('the user of a record', () => {
  const entry = { ...READ, rpId: 'a.example', userId: 'u-1' } as const;
  const users = new UserSeals(makeSeals(), new FakeAudit().refusals);
  const makeUser = (auditUid: string) => {
    const user = { rpId: 'a.example', userId: 'u-1', handle: randomBytes(32), auditUid, createdAt: NOW };
    return { ...user, seal: users.seal(user) };
  };
  const readNames = async () =>
    (await findEvents()).map(({ userId, event }) => [
      userId,
      (JSON.parse(event) as { user: { uid: string } }).user.uid,
    ]);
  const verify = { ...entry, type: 'credential.verify' } as const;
  beforeEach(() => database.sql('TRUNCATE user_handle'));

  it('has the pseudonym, also of a user who registers in the same transaction', async () => {
    const auditUid = randomUUID();
    await database.dataSource.transaction(async (manager) => {
      await manager.insert(UserHandleEntity, makeUser(auditUid));
      await audit.record(null, verify, manager);
    });
    await audit.record(null, verify);
    expect(await readNames()).toEqual([
      [auditUid, auditUid],
      [auditUid, auditUid],
    ]);
  });

  it.each([{}, { rpId: 'b.example' }, { userId: 'u-2' }, { rpId: undefined }])(
    'has a stand-in if the relying party has no such user: %j',
    async (changed) => {
      if (Object.keys(changed).length > 0)
        await database.dataSource.manager.insert(UserHandleEntity, makeUser(randomUUID()));
      await audit.record(null, { ...verify, ...changed });
      const { rpId, userId } = { ...verify, ...changed };
      const standIn = deriveStandIn({ rpId, userId }, NOW, TEST_KEYS);
      expect(await readNames()).toEqual([[standIn, standIn]]);
    },
  );

  it('has the pseudonym that it had when the row was made, if the user is erased before the row is written', async () => {
    const auditUid = randomUUID();
    await database.dataSource.manager.insert(UserHandleEntity, makeUser(auditUid));
    const row = audit.createRow(null, verify, await audit.findPseudonym(verify));
    await database.sql('DELETE FROM user_handle');
    await INSERT_EVENT.run(database.dataSource, row.values);
    expect(await readNames()).toEqual([[auditUid, auditUid]]);
    expect(await findUserIds(database.dataSource, [auditUid], users)).toEqual(new Map());
  });

  it('has a stand-in if something else has changed the row of the user, and nobody is shown as that user', async () => {
    const auditUid = randomUUID();
    await database.dataSource.manager.insert(UserHandleEntity, makeUser(randomUUID()));
    await database.sql('UPDATE user_handle SET audit_uid = $1', [auditUid]);
    await audit.record(null, verify);
    const standIn = deriveStandIn(entry, NOW, TEST_KEYS);
    expect(await readNames()).toEqual([[standIn, standIn]]);
    expect(await findUserIds(database.dataSource, [auditUid], users)).toEqual(new Map());
  });
});

describe('a change and its record are atomic:', () => {
  it('a transaction that is rolled back leaves neither the change nor its record', async () => {
    const change = database.dataSource.transaction(async (manager) => {
      await manager.insert(RelyingPartyEntity, createParty('a.example'));
      await audit.record(null, READ, manager);
      throw new Error('changed my mind');
    });
    await expect(change).rejects.toThrow('changed my mind');
    expect(await findEvents()).toEqual([]);
    expect(await database.dataSource.getRepository(RelyingPartyEntity).count()).toBe(0);
  });

  it.each<[string, object]>([
    ['cannot be hashed', { detail: '\ud800' }],
    ['cannot be stored', { rpId: 'a\u0000b' }],
    ['has a malformed id', { credential: { id: 'nonsense', credentialId: 'AAAA' } }],
  ])('a record that %s undoes its change', async (_, entry) => {
    const change = database.dataSource.transaction(async (manager) => {
      await manager.insert(RelyingPartyEntity, createParty('a.example'));
      await audit.record(null, { ...READ, ...entry }, manager);
    });
    await expect(change).rejects.toThrow();
    expect(await database.dataSource.getRepository(RelyingPartyEntity).count()).toBe(0);
    expect(await readCounts()).toEqual([]);
  });

  it('a log that cannot be written fails the call', async () => {
    await database.dataSource
      .transaction(async (manager) => {
        await manager.query('SET TRANSACTION READ ONLY');
        await expect(audit.record(null, READ, manager)).rejects.toMatchObject({ code: '25006' });
      })
      .catch(() => undefined);
    expect(await readCounts()).toEqual([]);
  });

  it('a record outside the transaction stays when that is rolled back, because a refusal is always recorded', async () => {
    const change = database.dataSource.transaction(async () => {
      await audit.record(null, { ...READ, outcome: 'failure' });
      throw new Error('refused');
    });
    await expect(change).rejects.toThrow('refused');
    expect(await findEvents()).toHaveLength(1);
  });
});

describe('a row that another statement writes', () => {
  it('has the given time, or else the time of the clock', () => {
    const readTime = (row: { values: readonly unknown[] }): unknown =>
      (JSON.parse(row.values[1] as string) as { time: number }).time;
    expect(readTime(audit.createRow(null, READ))).toBe(NOW.getTime());
    expect(readTime(audit.createRow(null, READ, null, new Date(7)))).toBe(7);
  });

  it('is not counted before it is written', async () => {
    audit.createRow(null, READ);
    expect(await readCounts()).toEqual([]);
  });
});

describe('an event that is recorded later', () => {
  it('is recorded once even if the answer to its commit is lost, and does not delay the events behind it', async () => {
    let lost = 0;
    const through = {
      query: async (...statement: Parameters<typeof database.dataSource.query>) => {
        const rows: unknown = await database.dataSource.query(...statement);
        if ((lost += 1) === 1) throw new Error('Connection terminated unexpectedly');
        return rows;
      },
    };
    const service = new AuditService(through as never, { now: () => NOW }, metrics, TEST_KEYS, makeSeals());
    service.recordEventually({ ...READ, detail: 'first' });
    service.recordEventually({ ...READ, detail: 'second' });
    await until(async () => (await findEvents()).length === 2 && (await readCounts())[0]?.value === 2);
    const details = (await findEvents()).map(
      ({ event }) => (JSON.parse(event) as { status_detail: string }).status_detail,
    );
    expect(details.sort()).toEqual(['first', 'second']);
    await service.beforeApplicationShutdown();
  });

  it('is recorded when it can be sealed again, if that failed once', async () => {
    const seals = makeSeals();
    let calls = 0;
    const seal = (...given: Parameters<typeof seals.seal>): Buffer => {
      if ((calls += 1) === 2) throw new Error('the key is away');
      return seals.seal(...given);
    };
    const failing = Object.assign(Object.create(seals) as typeof seals, { seal });
    const service = new AuditService(database.dataSource, { now: () => NOW }, metrics, TEST_KEYS, failing);
    service.recordEventually(READ);
    await until(async () => (await findEvents()).length === 1);
    await service.beforeApplicationShutdown();
  });

  it('has the MAC of a key that counts when it is written, if the first one is retired while it waits', async () => {
    const keys = makeSealKeys(1, 2);
    const retired = new Set<string>();
    const isRetired = (id: string): boolean => retired.has(id);
    const seals = makeSeals(keys, { isRetired, isRetiring: isRetired });
    let isAway = true;
    const through = {
      query: (...statement: Parameters<typeof database.dataSource.query>) =>
        isAway ? Promise.reject(new Error('Connection terminated')) : database.dataSource.query(...statement),
    };
    const service = new AuditService(through as never, { now: () => NOW }, metrics, TEST_KEYS, seals);
    service.recordEventually(READ);
    retired.add(keys.seals[0].id);
    isAway = false;
    await until(async () => (await findEvents()).length === 1);
    await service.beforeApplicationShutdown();
    const [event] = await findEvents();
    const pending = await database.sql<{ leaf_hash: Buffer; mac: Buffer }>(
      'SELECT leaf_hash, mac FROM audit_pending WHERE event_id = $1',
      [event?.id],
    );
    expect(pending.map(({ mac }) => readKeyId(mac))).toEqual([keys.seals[1]!.id]);
    expect(pending.map(({ mac, leaf_hash }) => seals.isGenuine(describeEvent(event!.id, leaf_hash), mac))).toEqual([
      true,
    ]);
  });
});

describe('migrations', () => {
  it('are recorded one by one before any service runs', async () => {
    const asOwner = { query: (text: string, values?: unknown[]) => database.sql(text, values) } as Queryable;
    await recordMigrations(asOwner, ['Initial1', 'Second2'], NOW);
    const recorded = (await findEvents()).map(
      ({ event }) => JSON.parse(event) as { unmapped: object; class_uid: number },
    );
    expect(recorded.map(({ unmapped }) => unmapped)).toEqual(
      expect.arrayContaining([{ migration: 'Initial1' }, { migration: 'Second2' }]),
    );
    expect(recorded.map(({ class_uid }) => class_uid)).toEqual([6002, 6002]);
  });
});
