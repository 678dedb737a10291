import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { insertEvents } from '../../test/support/insert-events.js';
import { LOG_TEST_KEYS, type LogReplica, StoredLog } from '../../test/support/stored-log.js';
import { until } from '../../test/support/until.js';
import { CompactRange } from '../tlog/merkle.js';
import { readRoot } from '../tlog/proofs.js';
import { openCheckpoint } from '../tlog/checkpoint.js';

const KEYS = LOG_TEST_KEYS.signers.map(({ key }) => key);
const READ = { type: 'audit.read', outcome: 'success' } as const;

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

/** Checks that every checkpoint is signed and matches the leaves. @returns the number of leaves */
async function demandWhole(): Promise<number> {
  const leaves = await log.leaves();
  const checkpoints = await log.sql<{ size: string; note: string }>(
    'SELECT size, note FROM audit_checkpoint ORDER BY size',
  );
  for (const { size, note } of checkpoints) {
    const checkpoint = openCheckpoint(note, KEYS);
    expect([checkpoint.size, checkpoint.root]).toEqual([
      Number(size),
      await readRoot(log.replica.storage, Number(size)),
    ]);
  }
  const range = new CompactRange();
  const hashes = await log.sql<{ hash: Buffer }>('SELECT leaf_hash AS hash FROM audit_leaf ORDER BY leaf_index');
  for (const { hash } of hashes) range.append(hash);
  const [last] = checkpoints.slice(-1);
  expect(openCheckpoint(last!.note, KEYS).root).toEqual(range.computeRoot());
  const [events] = await log.sql<{ count: string }>('SELECT count(*) FROM audit_event');
  expect([leaves.length, new Set(leaves).size]).toEqual([Number(last?.size), Number(events?.count)]);
  return leaves.length;
}

/** Inserts events in one transaction. */
async function insert(count: number): Promise<void> {
  await insertEvents(log.database.dataSource, log.replica.audit, 'audit.read', log.clock.now(), count);
}

describe('the order of the log', () => {
  it('is empty before the first event, and nothing is signed', async () => {
    expect(await log.replica.sequencer.sequence()).toBeUndefined();
    expect(await log.replica.storage.findLatestCheckpoint()).toBeUndefined();
  });

  it('is the order in which events were seen to be committed, and within a batch that of the ids', async () => {
    const late = log.database.dataSource.createQueryRunner();
    await late.startTransaction();
    const slow = await log.replica.audit.record(null, READ, late.manager);
    const quick = await log.replica.record(3);
    await log.replica.settle();
    expect(await log.leaves()).toEqual([...quick].sort());
    await late.commitTransaction();
    await late.release();
    const inOne = await log.database.dataSource.transaction(async (manager) => [
      await log.replica.audit.record(null, READ, manager),
      await log.replica.audit.record(null, READ, manager),
    ]);
    await log.replica.settle();
    expect(await log.leaves()).toEqual([...[...quick].sort(), ...[slow, ...inOne].sort()]);
    await demandWhole();
  });

  it('has an event once that is pending twice, and not again when it is sequenced', async () => {
    const ids = await log.replica.record(3);
    await log.sql('INSERT INTO audit_pending TABLE audit_pending');
    await log.sql('CREATE TABLE copied AS TABLE audit_pending');
    await log.replica.settle();
    expect(await log.leaves()).toEqual([...ids].sort());
    await log.sql('INSERT INTO audit_pending TABLE copied; DROP TABLE copied');
    await log.replica.record(1);
    await log.replica.settle();
    expect(await demandWhole()).toBe(4);
  });

  it('has no gap for a transaction that was rolled back', async () => {
    const [before] = await log.replica.record(1);
    const runner = log.database.dataSource.createQueryRunner();
    await runner.startTransaction();
    await log.replica.audit.record(null, READ, runner.manager);
    await runner.rollbackTransaction();
    await runner.release();
    const [after] = await log.replica.record(1);
    await log.replica.settle();
    expect(await log.leaves()).toEqual([before, after]);
  });

  it('is made in batches of 2,000', async () => {
    await insert(4_500);
    const sizes: number[] = [];
    while (sizes.at(-1) !== 4_500) {
      const batch = await log.replica.sequencer.sequence(true);
      sizes.push(batch!.checkpoint!.size);
      expect(batch!.more).toBe(batch!.checkpoint!.size < 4_500);
    }
    expect(sizes).toEqual([2_000, 4_000, 4_500]);
    expect(await demandWhole()).toBe(4_500);
    const [nodes] = await log.sql('SELECT count(*)::integer FROM audit_node WHERE level = 8');
    expect(nodes).toEqual({ count: 17 });
  });

  it('is the same whichever replica comes first: none forks it, and none sequences an event twice', async () => {
    const replicas = [log.replica, log.newReplica(), log.newReplica()];
    let writing = true;
    const write = async (replica: LogReplica): Promise<void> => {
      for (let n = 0; n < 60; n += 1) await replica.record(1);
    };
    const sequence = async ({ sequencer }: LogReplica): Promise<void> => {
      while (writing) await sequencer.sequence(true);
    };
    const sequencing = replicas.map(sequence);
    await Promise.all([...replicas, ...replicas].map(write));
    writing = false;
    await Promise.all(sequencing);
    await log.replica.settle();
    expect(await demandWhole()).toBe(360);
  });
});

describe('a batch', () => {
  it('is all or nothing, and the next one begins where the last one ended', async () => {
    await log.replica.record(3);
    await log.replica.settle();
    await log.sql(`
      CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
      CREATE TRIGGER crash BEFORE INSERT ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION crash()`);
    await log.replica.record(300);
    await expect(log.replica.sequencer.sequence(true)).rejects.toThrow();
    expect(await log.leaves()).toHaveLength(3);
    await log.sql('DROP FUNCTION crash CASCADE');
    await log.newReplica().settle();
    expect(await demandWhole()).toBe(303);
  });

  it('comes once a second unless it is requested', async () => {
    log.clock.freeze();
    await log.replica.record(1);
    await log.replica.settle();
    await log.replica.record(1);
    expect(await log.replica.sequencer.sequence()).toBeUndefined();
    log.clock.advance(1);
    while (!(await log.replica.sequencer.sequence()));
    expect(await log.leaves()).toHaveLength(2);
  });

  it('comes sooner the more is pending, so that none is large', async () => {
    log.clock.freeze();
    const sequenceNext = async (): Promise<number> => {
      while (!(await log.replica.sequencer.sequence()));
      return log.replica.sequencer.intervalMs;
    };
    await insert(1);
    expect(await sequenceNext()).toBe(1_000);
    await insert(500);
    log.clock.advance(1);
    expect(await sequenceNext()).toBe(500);
    await insert(500);
    log.clock.advance(0.4);
    expect(await log.replica.sequencer.sequence()).toBeUndefined();
    log.clock.advance(0.6);
    expect(await sequenceNext()).toBe(500);
    await insert(1_900);
    log.clock.advance(0.5);
    expect(await sequenceNext()).toBe(200);
    await insert(1);
    log.clock.advance(0.2);
    expect(await sequenceNext()).toBe(1_000);
    expect(await demandWhole()).toBe(2_902);
  });

  it('reports an event that was altered after it was written, and goes on', async () => {
    const [id] = await log.replica.record(2);
    await log.sql(`UPDATE audit_event SET event = replace(event, 'Read', 'Raed') WHERE id = $1`, [id]);
    await log.replica.settle();
    expect(log.replica.failures.listCurrent()).toEqual(['event-altered']);
    const listFailureFacts = async (): Promise<unknown[]> => {
      await log.replica.settle();
      const rows = await log.sql<{ event: string }>(
        `SELECT event FROM audit_event WHERE type = 'audit.failure' ORDER BY id`,
      );
      return rows.map(({ event }) => (JSON.parse(event) as { unmapped: unknown }).unmapped);
    };
    expect(await listFailureFacts()).toEqual([{ count: 1, events: [id] }]);
    const [other] = await log.replica.record(1);
    await log.sql(`UPDATE audit_event SET leaf_hash = sha256('') WHERE id = $1`, [other]);
    await log.replica.settle();
    // It is recorded some time after the batch.
    while ((await listFailureFacts()).length < 2) await log.replica.settle();
    await log.replica.settle();
    await demandWhole();
  });
});

describe('an event whose row is gone before it is sequenced', () => {
  it('becomes a leaf all the same, and is reported', async () => {
    const [kept, gone] = await log.replica.record(2);
    await log.sql('DELETE FROM audit_event WHERE id = $1', [gone]);
    await log.replica.settle();
    expect((await log.leaves()).slice(0, 2)).toEqual([kept, gone].sort());
    expect(log.replica.failures.listCurrent()).toEqual(['event-altered']);
  });
});

describe('a pending event beside many dead rows that an old snapshot keeps', () => {
  afterEach(() => log.sql('ALTER TABLE audit_pending RESET (fillfactor); TRUNCATE audit_pending'));

  it('is found wherever it lies', async () => {
    await log.sql('ALTER TABLE audit_pending SET (fillfactor = 10, autovacuum_enabled = off)');
    await log.sql(`INSERT INTO audit_pending SELECT gen_random_uuid(), sha256('') FROM generate_series(1, 100000)`);
    await log.sql(
      'DELETE FROM audit_pending WHERE event_id <> (SELECT event_id FROM audit_pending ORDER BY ctid DESC LIMIT 1)',
    );
    const [row] = await log.sql<{ pages: number }>(
      `SELECT (pg_relation_size('audit_pending') / 8192)::integer AS pages`,
    );
    expect(row?.pages).toBeGreaterThan(8_192);
    await log.sql('DELETE FROM audit_pending');
    const inPlace: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      expect(await log.replica.pending.findOldest()).toBeUndefined();
      inPlace.push(...(await log.replica.record(2)));
      await log.replica.settle();
      expect(await log.leaves()).toEqual([...inPlace].sort());
    }
    // Vacuum frees places at the beginning of the table.
    await log.sql('VACUUM audit_pending');
    inPlace.push(...(await log.replica.record(2)));
    await until(async () => {
      await log.replica.settle();
      return (await log.leaves()).length === 8;
    });
    expect(await log.leaves()).toEqual([...inPlace].sort());
  });
});
