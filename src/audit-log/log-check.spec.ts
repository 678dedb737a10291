import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { StoredLog } from '../../test/support/stored-log.js';
import { toFirstId } from '../audit/audit-event.repository.js';

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

/** Inserts events as somebody who does not know the service: they are not pending. */
async function insertPlaceless(ageMs: number, count = 1): Promise<void> {
  await log.sql(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
     SELECT (left($1::text, 18) || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid, event, sha256('\\x00'::bytea || convert_to(event, 'UTF8')), 'audit.read', 'success'
       FROM (SELECT n, format('{"metadata":{"event_code":"audit.read"},"n":%s,"status":"Success"}', n) AS event FROM generate_series(1, $2::integer) AS n) AS made`,
    [toFirstId(log.clock.now().getTime() - ageMs), count],
  );
}

async function tick(times = 1, replica = log.replica): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    log.clock.advance(1);
    await replica.keeper.tick();
  }
}

const YEAR_MS = 365 * 86_400_000;

/** Reads what the records of unsealed events say. */
async function readReports(): Promise<{ count: number; events: string[] }[]> {
  await log.replica.audit.beforeApplicationShutdown();
  const rows = await log.sql<{ event: string }>(
    `SELECT event FROM audit_event WHERE type = 'audit.failure' AND event LIKE '%"event-unsealed"%' ORDER BY id`,
  );
  return rows.map(({ event }) => (JSON.parse(event) as { unmapped: { count: number; events: string[] } }).unmapped);
}

describe('an event that is neither sequenced nor pending', () => {
  it('is reported at any age, in parts, and gets no place', async () => {
    const sequenced = await log.replica.record(2_500);
    await insertPlaceless(2 * YEAR_MS, 3);
    await insertPlaceless(5 * YEAR_MS, 1_200);
    await tick(8);
    expect(log.replica.keeper.getState()).toMatchObject({ lagSeconds: 0, failures: ['event-unsealed'] });
    expect((await log.leaves()).slice(0, 2_500).sort()).toEqual(sequenced.toSorted());
    log.clock.advance(60);
    await tick();
    const reports = await readReports();
    expect(reports).toHaveLength(2);
    expect(reports.reduce((sum, { count }) => sum + count, 0)).toBe(1_203);
    for (const { events } of reports) expect(events.length).toBeLessThanOrEqual(100);
    await tick(2);
    const events = await log.sql<{ id: string }>(`SELECT id FROM audit_event WHERE type = 'audit.failure'`);
    expect((await log.leaves()).slice(2_500).sort()).toEqual(events.map(({ id }) => id).sort());
  });

  it('is found once a day when it came after the last pass', async () => {
    await log.replica.record(1);
    await tick(3);
    await insertPlaceless(YEAR_MS);
    await tick(30);
    expect(await readReports()).toEqual([]);
    log.clock.advance(86_400);
    await tick(3);
    expect(await readReports()).toEqual([{ count: 1, events: [expect.any(String)] }]);
  });

  it('is found again after a restart', async () => {
    await insertPlaceless(YEAR_MS);
    await tick();
    expect(await readReports()).toHaveLength(1);
    log.replica = log.newReplica();
    await tick();
    expect(log.replica.failures.listCurrent()).toEqual(['event-unsealed']);
    expect(await readReports()).toHaveLength(2);
  });

  it('is no event of a transaction that is still open, or that the sequencer takes meanwhile', async () => {
    const late = log.database.dataSource.createQueryRunner();
    await late.startTransaction();
    await log.replica.audit.record(null, { type: 'audit.read', outcome: 'success' }, late.manager);
    const replicas = [log.replica, log.newReplica(), log.newReplica()];
    const check = async (): Promise<void> => {
      for (let n = 0; n < 20; n += 1) await replicas[2]!.check.run();
    };
    await log.replica.record(300);
    await Promise.all([replicas[0]!.settle(), replicas[1]!.settle(), check()]);
    await late.commitTransaction();
    await late.release();
    await Promise.all([replicas[0]!.settle(), check()]);
    for (const { failures } of replicas) expect(failures.listCurrent()).toEqual([]);
    expect(await log.leaves()).toHaveLength(301);
  });
});

describe('an event whose leaf is not its own', () => {
  const READ = 'audit.read';

  it.each([
    ['was altered after it had its place', `UPDATE audit_event SET event = replace(event, '${READ}', 'audit.raed')`],
    ['has a leaf of another hash', `UPDATE audit_leaf SET leaf_hash = sha256('') WHERE leaf_index = 1`],
    [
      'has a leaf outside of the log',
      `ALTER TABLE audit_leaf DROP CONSTRAINT IF EXISTS audit_leaf_index;
       UPDATE audit_leaf SET leaf_index = leaf_index + 1000 WHERE leaf_index = 1`,
    ],
  ])('is reported: it %s', async (_, sql) => {
    const ids = await log.replica.record(3);
    await log.replica.settle();
    await log.sql(sql);
    await log.replica.check.run();
    expect(log.replica.failures.listCurrent()).toEqual(['event-altered']);
    await log.replica.audit.beforeApplicationShutdown();
    const [record] = await log.sql<{ event: string }>(`SELECT event FROM audit_event WHERE type = 'audit.failure'`);
    const { unmapped } = JSON.parse(record!.event) as { unmapped: { events: string[] } };
    for (const id of unmapped.events) expect(ids).toContain(id);
  });
});

describe('a check that fails', () => {
  it('is a failure of its own, and sequencing goes on', async () => {
    await log.sql('ALTER TABLE audit_event RENAME COLUMN event TO event_');
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ lagSeconds: 0, failures: ['self-verification'] });
    await log.sql('ALTER TABLE audit_event RENAME COLUMN event_ TO event');
    await tick();
    expect(log.replica.keeper.getState().failures).toEqual([]);
    await log.replica.audit.beforeApplicationShutdown();
  });
});

describe('the leaves', () => {
  it.each([
    ['before the first one', `INSERT INTO audit_leaf VALUES (-1, gen_random_uuid(), sha256(''))`],
    ['with a hash of another length', `INSERT INTO audit_leaf VALUES (0, gen_random_uuid(), '')`],
    ['of an event that has one', `INSERT INTO audit_leaf SELECT 1, event_id, leaf_hash FROM audit_leaf`],
  ])('accept none %s', async (_, sql) => {
    await log.sql(
      'TRUNCATE audit_leaf; ALTER TABLE audit_leaf DROP CONSTRAINT IF EXISTS audit_leaf_index; ALTER TABLE audit_leaf ADD CONSTRAINT audit_leaf_index CHECK (leaf_index >= 0) NOT VALID',
    );
    await log.replica.record(1);
    await log.replica.settle();
    await expect(log.sql(sql)).rejects.toThrow(/violates (check|unique) constraint|duplicate key/);
  });
});
