import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { insertEvents } from '../../test/support/insert-events.js';
import { makeSealKeys, TEST_KEYS } from '../../test/support/secret-keys.js';
import { type LogReplica, StoredLog } from '../../test/support/stored-log.js';
import { type AuditRow, createAuditRow, INSERT_EVENT, INSERT_EVENT_OF_OWNER } from '../audit/audit-event.repository.js';
import { describeEvent } from '../audit/event-macs.js';
import type { Queryable } from '../database/named-statement.js';
import { computeSeal } from '../seals/seal.js';
import { hashLeaf } from '../tlog/merkle.js';
import { BATCH } from './pending-events.repository.js';

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

const READ = { type: 'audit.read', outcome: 'success' } as const;
const SIGN_IN = { type: 'credential.verify', outcome: 'success', rpId: 'a.example', userId: 'u-1' } as const;

/** Makes an event as somebody who knows everything but the key. */
const forge = (): AuditRow => createAuditRow(SIGN_IN, null, log.clock.now(), 'somebody');

/** Writes with the role of the service. */
const asService = (): Queryable => log.database.dataSource;
/** Writes with a role that may do everything. */
const asOwner = (): Queryable => ({ query: (text: string, values?: unknown[]) => log.sql(text, values) }) as Queryable;

async function insert({ values }: AuditRow, mac: Buffer | null = null): Promise<void> {
  await INSERT_EVENT.run(asService(), values.with(3, mac));
}

const readMac = async (id: string): Promise<Buffer> =>
  (await log.sql<{ mac: Buffer }>('SELECT mac FROM audit_pending WHERE event_id = $1', [id]))[0]!.mac;

/** Reads what was reported, once it is recorded. */
async function readReports(replica = log.replica): Promise<{ count: number; events: string[] }[]> {
  await replica.audit.beforeApplicationShutdown();
  const rows = await log.sql<{ event: string }>(
    `SELECT event FROM audit_event WHERE type = 'audit.failure' AND event LIKE '%"event-unsealed"%' ORDER BY id`,
  );
  return rows.map(({ event }) => (JSON.parse(event) as { unmapped: { count: number; events: string[] } }).unmapped);
}

/** Demands that the events have no place in the log, are not pending any more, and were reported. */
async function demandRefused(ids: readonly string[], replica = log.replica): Promise<void> {
  await replica.settle();
  const leaves = await log.leaves();
  for (const id of ids) expect(leaves).not.toContain(id);
  expect(await log.sql('SELECT FROM audit_pending WHERE event_id = ANY ($1)', [ids])).toEqual([]);
  const reports = await readReports(replica);
  expect(reports.flatMap(({ events }) => events).sort()).toEqual([...ids].sort());
  expect(replica.failures.listCurrent()).toEqual(['event-unsealed']);
}

describe('an event that the service did not write gets no place in the log:', () => {
  it('one without a MAC, beside one of the service', async () => {
    const forged = forge();
    await insert(forged);
    const [own] = await log.replica.record(1);
    await demandRefused([forged.id]);
    expect((await log.leaves())[0]).toBe(own);
  });

  it('one that is not pending', async () => {
    const forged = forge();
    await insert(forged);
    await log.sql('TRUNCATE audit_pending');
    await log.replica.check.run();
    await demandRefused([forged.id]);
  });

  it.each<[string, (own: AuditRow, forged: AuditRow) => Buffer]>([
    ['of another event', (own) => own.values[3] as Buffer],
    ['of nothing', () => Buffer.alloc(20)],
    [
      'by an unknown key',
      ({ id, values }) => computeSeal(makeSealKeys(9).seals[0], describeEvent(id, values[2] as Buffer)),
    ],
    [
      'by the key of another kind of row',
      (_, { id, values }) => computeSeal(TEST_KEYS.seals[0], { kind: 'check', parts: [id, values[2]] }),
    ],
    ['that is the leaf hash', (_, { values }) => (values[2] as Buffer).subarray(0, 20)],
  ])('one with a MAC %s', async (_, takeMac) => {
    const own = log.replica.audit.createRow(null, SIGN_IN);
    const forged = forge();
    await insert(forged, takeMac(own, forged));
    await demandRefused([forged.id]);
  });

  it('one with the text, the leaf hash and the MAC of an event of the service, under another id', async () => {
    const own = log.replica.audit.createRow(null, SIGN_IN);
    await INSERT_EVENT.run(asService(), own.values);
    const { id } = forge();
    await INSERT_EVENT.run(asService(), own.values.with(0, id));
    await demandRefused([id]);
    expect(await log.leaves()).toContain(own.id);
  });

  it('one whose text, hash and pending row the owner of the tables changed before it had its place', async () => {
    const [id] = await log.replica.record(1);
    await log.sql(`UPDATE audit_event SET event = replace(event, 'Read', 'Raed')`);
    await log.sql(`UPDATE audit_event SET leaf_hash = sha256('\\x00'::bytea || convert_to(event, 'UTF8'))`);
    await log.sql(`UPDATE audit_pending SET leaf_hash = (SELECT leaf_hash FROM audit_event)`);
    await demandRefused([id!]);
  });

  it('one that says of itself that the owner wrote it', async () => {
    const { values } = forge();
    await expect(INSERT_EVENT_OF_OWNER.run(asService(), values)).rejects.toMatchObject({ code: '42501' });
    const { id } = forge();
    await INSERT_EVENT_OF_OWNER.run(asOwner(), values.with(0, id));
    await demandRefused([id]);
  });
});

describe('what the owner of the tables records', () => {
  const migrated = { type: 'schema.migrate', outcome: 'success', facts: { migration: 'Later1' } } as const;
  const make = (): AuditRow => createAuditRow(migrated, null, log.clock.now());

  it.each(['schema.migrate', 'audit.archive'] as const)('gets its place without a MAC: %s', async (type) => {
    const { id, values } = createAuditRow({ type, outcome: 'success' }, null, log.clock.now());
    await INSERT_EVENT_OF_OWNER.run(asOwner(), values);
    await log.replica.settle();
    expect(await log.leaves()).toEqual([id]);
    expect(log.replica.failures.listCurrent()).toEqual([]);
  });

  it.each<[string, (row: AuditRow) => readonly unknown[]]>([
    ['has another type in its columns', ({ values }) => values.with(4, 'credential.verify')],
    ['has the id of another event in its text', ({ values }) => values.with(0, forge().id)],
    [
      'has a text with two types',
      ({ values }) =>
        changeText(values, (text) => text.replace('{', '{"metadata":{"event_code":"credential.verify"},')),
    ],
    ['is not canonical', ({ values }) => changeText(values, (text) => `${text} `)],
    ['is no JSON', ({ values }) => changeText(values, () => 'schema.migrate')],
    ['has a leaf hash of another text', ({ values }) => values.with(2, hashLeaf('another'))],
  ])('gets none if it %s', async (_, change) => {
    const values = change(make());
    await INSERT_EVENT_OF_OWNER.run(asOwner(), values);
    await demandRefused([values[0] as string]);
  });

  it('gets none from the role of the service', async () => {
    const row = make();
    await insert(row);
    await demandRefused([row.id]);
  });
});

function changeText(values: readonly unknown[], change: (text: string) => string): unknown[] {
  const text = change(values[1] as string);
  return values.with(1, text).with(2, hashLeaf(text));
}

describe('a genuine event', () => {
  it.each(['before', 'after'])('keeps its place when somebody adds a row without a MAC %s its own', async (when) => {
    const own = log.replica.audit.createRow(null, READ);
    const add = (): Promise<unknown> =>
      asService().query('INSERT INTO audit_pending (event_id, leaf_hash) VALUES ($1, $2)', [own.id, own.values[2]]);
    if (when === 'before') await add();
    await INSERT_EVENT.run(asService(), own.values);
    if (when === 'after') await add();
    await log.replica.settle();
    expect(await log.leaves()).toEqual([own.id]);
    expect(log.replica.failures.listCurrent()).toEqual([]);
  });

  it('keeps its hash when somebody adds a row with another hash', async () => {
    const [id] = await log.replica.record(1);
    const values = [id, hashLeaf('another'), await readMac(id!)];
    await asService().query('INSERT INTO audit_pending (event_id, leaf_hash, mac) VALUES ($1, $2, $3)', values);
    await log.replica.settle();
    const [leaf] = await log.sql<{ same: boolean }>(
      'SELECT l.leaf_hash = e.leaf_hash AS same FROM audit_leaf l JOIN audit_event e ON e.id = event_id',
    );
    expect([await log.leaves(), leaf]).toEqual([[id], { same: true }]);
  });

  it('gets its place after a restart', async () => {
    const [id] = await log.replica.record(1);
    await log.newReplica().settle();
    expect(await log.leaves()).toEqual([id]);
  });

  it('gets its place from replicas whose keys are in another order, and not from one that lacks the key', async () => {
    const make = (...fills: [number, ...number[]]): LogReplica => log.newReplica(undefined, makeSealKeys(...fills));
    const [both, reversed, first] = [make(1, 2), make(2, 1), make(1)];
    const ids = [...(await both.record(1)), ...(await reversed.record(1)), ...(await first.record(1))];
    await both.settle();
    expect(await log.leaves()).toEqual(ids.toSorted());
    const late = [...(await both.record(1)), ...(await reversed.record(1))];
    await reversed.settle();
    expect(await log.leaves()).toEqual([...ids.toSorted(), ...late.toSorted()]);
    const [unknown] = await reversed.record(1);
    await demandRefused([unknown!], first);
  });
});

describe('while replicas of the version before run', () => {
  const openOld = (register: { areSealsNew: boolean }): LogReplica => log.newReplica(undefined, undefined, register);

  it('an event without a MAC gets its place, one with a wrong MAC does not, and nothing is asked of the owner', async () => {
    const replica = openOld({ areSealsNew: false });
    const [old, forged] = [forge(), forge()];
    await insert(old);
    await insert(forged, Buffer.alloc(20));
    await demandRefused([forged.id], replica);
    expect((await log.leaves())[0]).toBe(old.id);
  });

  it('they write their events as before', async () => {
    const { id, values } = forge();
    await asService().query(
      `WITH recorded AS (
         INSERT INTO audit_event (id, event, leaf_hash, type, outcome) VALUES ($1, $2, $3, 'credential.verify', 'success')
         RETURNING id, leaf_hash)
       INSERT INTO audit_pending (event_id, leaf_hash) SELECT id, leaf_hash FROM recorded`,
      values.slice(0, 3),
    );
    await openOld({ areSealsNew: false }).settle();
    expect(await log.leaves()).toEqual([id]);
  });

  it('an event without a MAC gets its place until that time ends', async () => {
    const register = { areSealsNew: false };
    const replica = openOld(register);
    const [old, late] = [forge(), forge()];
    await insert(old);
    await replica.settle();
    register.areSealsNew = true;
    await insert(late);
    await demandRefused([late.id], replica);
    expect((await log.leaves())[0]).toBe(old.id);
  });
});

describe('a flood of events that the service did not write', () => {
  it('delays no event of the service for longer than its rows take, and makes one record a minute', async () => {
    const flood = 3 * BATCH + 10;
    await log.sql(
      `WITH recorded AS (
         INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
         SELECT gen_random_uuid(), '{}', sha256('\\x007b7d'), 'credential.verify', 'success' FROM generate_series(1, $1::integer)
         RETURNING id, leaf_hash)
       INSERT INTO audit_pending (event_id, leaf_hash) SELECT * FROM recorded`,
      [flood],
    );
    const ids = await log.replica.record(5);
    log.clock.freeze();
    log.clock.advance(1);
    await log.replica.keeper.tick();
    expect((await log.leaves()).slice(0, 5)).toEqual(ids.toSorted());
    expect(await readReports()).toEqual([{ count: BATCH, events: expect.any(Array) }]);
    log.clock.advance(59);
    await log.replica.keeper.tick();
    expect(await readReports()).toHaveLength(1);
    log.clock.advance(1);
    await log.replica.keeper.tick();
    const reports = await readReports();
    // The check of the whole log finds them again.
    expect(reports).toHaveLength(2);
    expect(reports[1]!.count).toBeGreaterThanOrEqual(flood - BATCH);
    expect(reports.every(({ events }) => events.length === 100)).toBe(true);
  });

  it('is counted to the end when the process stops', async () => {
    await insert(forge());
    await log.replica.settle();
    await insert(forge());
    await log.replica.settle();
    expect(await readReports()).toHaveLength(1);
    await log.replica.keeper.onModuleDestroy();
    expect(await readReports()).toHaveLength(2);
  });

  it('of rows for events that have their places delays none either', async () => {
    await insertEvents(asService(), log.replica.audit, 'audit.read', log.clock.now(), BATCH + 10);
    await log.sql('CREATE TABLE copied AS TABLE audit_pending');
    await log.replica.settle();
    await log.sql('INSERT INTO audit_pending SELECT * FROM copied; DROP TABLE copied');
    const [id] = await log.replica.record(1);
    log.clock.advance(1);
    await log.replica.keeper.tick();
    expect((await log.leaves()).at(-1)).toBe(id);
    expect(log.replica.failures.listCurrent()).toEqual([]);
  });
});
