import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { type LogReplica, LOG_TEST_KEYS, StoredLog } from '../../test/support/stored-log.js';
import type { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import { firstIdAt } from './event-id.js';
import { CompactRange } from './log/compact-range.js';
import { rootAt } from './log/proofs.js';
import { openCheckpoint } from './log/signed-checkpoint.js';

const KEYS = LOG_TEST_KEYS.signers.map(({ key }) => key);
const READ = { type: 'audit.read', outcome: 'success' } as const;

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

/** Every checkpoint is signed, and of the leaves that are there. */
async function demandWhole(): Promise<number> {
  const leaves = await log.leaves();
  const checkpoints = await log.sql<{ size: string; note: string }>(
    'SELECT size, note FROM audit_checkpoint ORDER BY size',
  );
  for (const { size, note } of checkpoints) {
    const checkpoint = openCheckpoint(note, KEYS);
    expect([checkpoint.size, checkpoint.root]).toEqual([Number(size), await rootAt(log.replica.storage, Number(size))]);
  }
  const range = new CompactRange();
  const hashes = await log.sql<{ hash: Buffer }>('SELECT leaf_hash AS hash FROM audit_leaf ORDER BY leaf_index');
  for (const { hash } of hashes) range.append(hash);
  const [last] = checkpoints.slice(-1);
  expect(openCheckpoint(last!.note, KEYS).root).toEqual(range.root());
  const [events] = await log.sql<{ count: string }>('SELECT count(*) FROM audit_event');
  expect([leaves.length, new Set(leaves).size]).toEqual([Number(last?.size), Number(events?.count)]);
  return leaves.length;
}

/** Events of a transaction each, by another writer than the service. */
async function insert(count: number, id = 'gen_random_uuid()', tx = 'DEFAULT'): Promise<void> {
  const event = `format('{"n":%s}', n)`;
  await log.sql(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome ${tx === 'DEFAULT' ? '' : ', tx'})
     SELECT ${id}, ${event}, sha256('\\x00'::bytea || convert_to(${event}, 'UTF8')), 'audit.read', 'success'
            ${tx === 'DEFAULT' ? '' : `, ${tx}`}
       FROM generate_series(1, ${String(count)}) AS n`,
  );
}

describe('the order of the log', () => {
  it('is empty before the first event, and nothing is signed', async () => {
    expect(await log.replica.sequencer.sequence()).toBeUndefined();
    expect(await log.replica.storage.latestCheckpoint()).toBeUndefined();
  });

  it('is that of the transactions, then of the ids', async () => {
    const first = await log.replica.record(3);
    const inOne = await log.database.dataSource.transaction(async (manager) => [
      await log.replica.audit.record(null, READ, manager),
      await log.replica.audit.record(null, READ, manager),
    ]);
    await log.replica.settle();
    expect(await log.leaves()).toEqual([...first, ...inOne.sort()]);
    await demandWhole();
  });

  it('is that of the numbers of transactions, however many digits they have', async () => {
    for (const tx of ['9', '99', '100', '10']) await insert(1, 'gen_random_uuid()', `'${tx}'::xid8`);
    await log.replica.sequencer.sequence(true);
    const rows = await log.sql<{ tx: string }>(
      'SELECT tx::text FROM audit_leaf JOIN audit_event ON id = event_id ORDER BY leaf_index',
    );
    expect(rows.map(({ tx }) => tx)).toEqual(['9', '10', '99', '100']);
    expect((await log.replica.storage.latestCheckpoint())?.lastTx).toBe('100');
  });

  it('waits for a transaction that began earlier: what commits late is neither lost nor passed over', async () => {
    const late = log.database.dataSource.createQueryRunner();
    await late.startTransaction();
    const slow = await log.replica.audit.record(null, READ, late.manager);
    const [quick] = await log.replica.record(1);
    await log.replica.sequencer.sequence(true);
    expect(await log.leaves()).toEqual([]);
    await late.commitTransaction();
    await late.release();
    await log.replica.settle();
    expect(await log.leaves()).toEqual([slow, quick]);
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
      // Another suite's transaction, on the same server, may hold the order up.
      if (!batch) continue;
      sizes.push(batch.checkpoint.size);
      expect(batch.more).toBe(batch.checkpoint.size < 4_500);
    }
    expect(sizes).toEqual([2_000, 4_000, 4_500]);
    expect(await demandWhole()).toBe(4_500);
    const [nodes] = await log.sql('SELECT count(*)::integer FROM audit_node WHERE level = 8');
    expect(nodes).toEqual({ count: 17 });
  });

  it('is one, whichever replica comes first: none forks it, none puts an event in twice', async () => {
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

  it('comes once a second, unless it is asked for', async () => {
    log.clock.freeze();
    await log.replica.record(1);
    await log.replica.settle();
    await log.replica.record(1);
    expect(await log.replica.sequencer.sequence()).toBeUndefined();
    log.clock.advance(1);
    while (!(await log.replica.sequencer.sequence()));
    expect(await log.leaves()).toHaveLength(2);
  });

  it('comes sooner the more there is, so that none of them is large', async () => {
    log.clock.freeze();
    const next = async (): Promise<number> => {
      while (!(await log.replica.sequencer.sequence()));
      return log.replica.sequencer.intervalMs;
    };
    await insert(1);
    expect(await next()).toBe(1_000);
    await insert(500);
    log.clock.advance(1);
    expect(await next()).toBe(500);
    await insert(500);
    log.clock.advance(0.4);
    expect(await log.replica.sequencer.sequence()).toBeUndefined();
    log.clock.advance(0.6);
    expect(await next()).toBe(500);
    await insert(1_900);
    log.clock.advance(0.5);
    expect(await next()).toBe(200);
    await insert(1);
    log.clock.advance(0.2);
    expect(await next()).toBe(1_000);
    expect(await demandWhole()).toBe(2_902);
  });

  it('tells of an event that was altered after it was written, and goes on', async () => {
    const [id] = await log.replica.record(2);
    await log.sql(`UPDATE audit_event SET event = replace(event, 'Read', 'Raed') WHERE id = $1`, [id]);
    await log.replica.settle();
    expect(log.replica.failures.current()).toEqual(['event-altered']);
    const told = async (): Promise<unknown[]> => {
      await log.replica.settle();
      const rows = await log.sql<{ event: string }>(
        `SELECT event FROM audit_event WHERE type = 'audit.failure' ORDER BY id`,
      );
      return rows.map(({ event }) => (JSON.parse(event) as { unmapped: unknown }).unmapped);
    };
    expect(await told()).toEqual([{ count: 1, events: [id] }]);
    const [other] = await log.replica.record(1);
    await log.sql(`UPDATE audit_event SET leaf_hash = sha256('') WHERE id = $1`, [other]);
    await log.replica.settle();
    // It is recorded after the batch, in its own time.
    while ((await told()).length < 2) await log.replica.settle();
    await demandWhole();
  });
});

describe('a cluster that was restored from a dump, with new transaction numbers', () => {
  const FAR = 1_000_000_000;
  beforeEach(async () => {
    await log.replica.record(5);
    await log.replica.settle();
    await insert(2, `gen_random_uuid()`);
    await log.sql(`UPDATE audit_event SET tx = (tx::text::bigint + ${String(FAR)})::text::xid8`);
    await log.sql(`UPDATE audit_checkpoint SET last_tx = last_tx + ${String(FAR)}`);
    log.replica = log.newReplica();
  });

  it('goes on where the old one was, with what it had not sequenced', async () => {
    await log.replica.settle();
    const ids = await log.replica.record(3);
    expect(await log.replica.waiting.oldest(await log.replica.storage.latestCheckpoint())).toBe(ids[0]);
    await log.replica.settle();
    expect((await log.leaves()).slice(-3)).toEqual(ids);
    expect(await demandWhole()).toBe(10);
  });

  it('loses no event that was written long after it happened, nor one of a late transaction', async () => {
    await log.replica.settle();
    const late = log.database.dataSource.createQueryRunner();
    await late.startTransaction();
    await log.replica.audit.record(null, READ, late.manager);
    await log.replica.record(2);
    await log.replica.sequencer.sequence(true);
    log.clock.advance(-3_600);
    await log.replica.record(1);
    await late.commitTransaction();
    await late.release();
    await log.replica.settle();
    expect(await demandWhole()).toBe(11);
  });

  it('and by another replica, and once the numbers have come to where the old ones were', async () => {
    await log.replica.settle();
    await log.replica.record(2);
    const other = log.newReplica();
    await other.settle();
    await log.replica.record(2);
    await log.sql(`UPDATE audit_checkpoint SET last_tx = 3`);
    await log.newReplica().settle();
    expect(await demandWhole()).toBe(11);
  });
});

describe('the first look of a process', () => {
  it('finds what an order by transaction number has passed over', async () => {
    await log.replica.record(3);
    await log.replica.settle();
    await log.replica.sequencer.sequence(true);
    await insert(1, `'${firstIdAt(Date.now() - 60_000)}'::uuid`, `'3'::xid8`);
    await log.replica.sequencer.sequence(true);
    expect(await log.leaves()).toHaveLength(3);
    await log.newReplica().sequencer.sequence(true);
    expect(await demandWhole()).toBe(4);
  });

  it('goes through much that has its place part by part, and what is new waits for none', async () => {
    const place = (ids: readonly string[]): Promise<unknown> =>
      log.sql(
        `INSERT INTO audit_leaf SELECT (SELECT count(*) FROM audit_leaf) + row_number() OVER () - 1, id, leaf_hash
           FROM audit_event WHERE $1::uuid[] = '{}' OR id = ANY ($1)`,
        [ids],
      );
    const [began, count] = [Date.now() - 300_000, 60_000];
    await insert(count, `(lpad(to_hex(${String(began)} + n), 12, '0') || left(md5(n::text), 20))::uuid`);
    await place([]);
    const [last] = await log.sql<{ lastTx: string; lastId: string }>(
      'SELECT tx::text AS "lastTx", id AS "lastId" FROM audit_event ORDER BY tx DESC, id DESC LIMIT 1',
    );
    const [first, final] = [firstIdAt(began - 1), firstIdAt(began + count + 1)];
    for (const id of [first, final]) await insert(1, `'${id}'::uuid`, `'3'::xid8`);
    const [fresh] = await log.replica.record(1);
    const found: string[][] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const { events, sequenced } = await log.replica.waiting.after(
        last as unknown as AuditCheckpointEntity,
        log.database.dataSource,
      );
      found.push(events.map(({ id }) => id));
      if (events.length > 0) await place(events.map(({ id }) => id));
      sequenced();
    }
    expect(found).toEqual([[first, fresh], [final], []]);
  });
});
