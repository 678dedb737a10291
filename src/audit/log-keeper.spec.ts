import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { DataSource, type QueryRunner } from 'typeorm';
import { Severable } from '../../test/support/severable.js';
import { LogReplica, StoredLog } from '../../test/support/stored-log.js';
import { ENTITIES } from '../../test/support/test-data-source.js';
import { dataSourceOptions } from '../database/data-source.js';
import { firstIdAt } from './event-id.js';

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

/** A turn is one second later than the one before. */
async function tick(times = 1, replica = log.replica): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    log.clock.advance(1);
    await replica.keeper.tick();
  }
}

async function until(reached: () => boolean, replica = log.replica): Promise<void> {
  for (let turns = 0; !reached(); turns += 1) {
    if (turns === 100) throw new Error(`after 100 turns: ${JSON.stringify(replica.keeper.state())}`);
    await tick(1, replica);
  }
}

/** What was recorded about the log itself, once it is: type and reason, oldest first. */
async function recorded(): Promise<string[]> {
  await log.replica.audit.beforeApplicationShutdown();
  const rows = await log.sql<{ event: string }>(
    `SELECT type || ' ' || (event::jsonb ->> 'status_code') AS event FROM audit_event
      WHERE type IN ('audit.failure', 'audit.recovery') ORDER BY id`,
  );
  return rows.map(({ event }) => event);
}

async function failing(replica = log.replica): Promise<Record<string, number>> {
  const { values } = await replica.metrics.auditFailing.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.failure), value]));
}

async function openTransaction(): Promise<QueryRunner> {
  const runner = log.database.dataSource.createQueryRunner();
  await runner.startTransaction();
  await log.replica.audit.record(null, { type: 'audit.read', outcome: 'success' }, runner.manager);
  return runner;
}

describe('a turn', () => {
  it('puts all that waits in order, more than one batch of it', async () => {
    await log.replica.record(2_100);
    await until(() => log.replica.keeper.state().size >= 2_000);
    await log.replica.settle();
    await tick();
    expect(log.replica.keeper.state()).toMatchObject({ size: 2_100, lagSeconds: 0, failures: [] });
    expect(log.replica.keeper.state().checkpointAt).toBe((await log.replica.storage.latestCheckpoint())?.createdAt.toISOString()); // prettier-ignore
    const [size] = (await log.replica.metrics.auditSize.get()).values;
    expect(size?.value).toBe(2_100);
  });
});

describe('the lag', () => {
  let open: QueryRunner;
  beforeEach(async () => {
    open = await openTransaction();
  });
  afterEach(() => open.release());

  it('is told, is a failure after 30 seconds, and is recorded when it is over', async () => {
    log.clock.freeze();
    await log.replica.record(1);
    await tick(20);
    expect(log.replica.keeper.state()).toMatchObject({ lagSeconds: 20, failures: [] });
    await tick(15);
    expect(log.replica.keeper.state()).toMatchObject({ lagSeconds: 35, failures: ['sequencer-lag'] });
    expect(await failing()).toEqual({ 'sequencer-lag': 1 });
    await open.commitTransaction();
    await until(() => log.replica.keeper.state().failures.length === 0);
    await tick();
    expect(await failing()).toEqual({ 'sequencer-lag': 0 });
    expect(await recorded()).toEqual(['audit.failure sequencer-lag', 'audit.recovery sequencer-lag']);
  });

  it('is none for an event that was only just written, long after it happened', async () => {
    log.clock.advance(-3_600);
    await log.replica.record(1);
    log.clock.advance(3_600);
    await tick();
    expect(log.replica.keeper.state().failures).toEqual([]);
    await open.rollbackTransaction();
  });
});

describe('a database that cannot be reached', () => {
  it('is told, and recorded once the log is back, with the time', async () => {
    const wire = await Severable.before(log.database.url);
    const dataSource = await new DataSource({ ...dataSourceOptions(wire.url), entities: ENTITIES }).initialize();
    const replica = new LogReplica(dataSource, log.clock);
    await tick(1, replica);
    wire.cut();
    await tick(2, replica);
    expect(replica.keeper.state().failures).toEqual(['unreachable']);
    expect(await failing(replica)).toEqual({ unreachable: 1 });
    wire.restore();
    await until(() => replica.keeper.state().failures.length === 0, replica);
    await replica.audit.beforeApplicationShutdown();
    expect(await recorded()).toEqual(['audit.failure unreachable', 'audit.recovery unreachable']);
    await dataSource.destroy();
    await wire.close();
  });
});

describe('a log that was altered', () => {
  it('is told and recorded, and is signed no more until it is mended', async () => {
    await log.replica.record(3);
    await log.replica.settle();
    await log.sql('UPDATE audit_checkpoint SET last_tx = last_tx + 1');
    await tick(2);
    expect(log.replica.keeper.state().failures).toEqual(['log-altered']);
    expect(await log.leaves()).toHaveLength(3);
    await log.sql('UPDATE audit_checkpoint SET last_tx = last_tx - 1');
    await until(() => log.replica.keeper.state().failures.length === 0);
    await tick();
    expect(await recorded()).toEqual(['audit.failure log-altered', 'audit.recovery log-altered']);
  });

  it('is seen by a replica that another one leaves nothing to do', async () => {
    const other = log.newReplica();
    await log.replica.record(3);
    await log.replica.settle();
    await tick(1, other);
    await log.sql('DELETE FROM audit_leaf; DELETE FROM audit_checkpoint');
    await tick(1, other);
    expect(other.keeper.state().failures).toEqual(['log-truncated']);
    await other.audit.beforeApplicationShutdown();
  });

  it('stays told when it was an event', async () => {
    const [id] = await log.replica.record(1);
    await log.sql(`UPDATE audit_event SET event = '{}' WHERE id = $1`, [id]);
    await log.replica.settle();
    await tick(3);
    expect(log.replica.keeper.state().failures).toEqual(['event-altered']);
    expect(await recorded()).toEqual(['audit.failure event-altered']);
  });

  it('of which the database refuses the next batch for another reason, too', async () => {
    await log.sql('ALTER TABLE audit_leaf ADD CONSTRAINT refused CHECK (leaf_index < 0) NOT VALID');
    await log.replica.record(1);
    await until(() => log.replica.keeper.state().failures.length > 0);
    expect(log.replica.keeper.state().failures).toEqual(['sequencer-failed']);
    await log.sql('ALTER TABLE audit_leaf DROP CONSTRAINT refused');
    await tick();
    expect(log.replica.keeper.state().failures).toEqual([]);
  });
});

describe('the partitions', () => {
  const months = async (): Promise<string[]> =>
    (await log.sql<{ name: string }>(`SELECT name FROM audit_partitions() WHERE name <> 'audit_event_initial' ORDER BY name`)) // prettier-ignore
      .map(({ name }) => name.replace('audit_event_', ''));
  const day = 86_400;

  it('are there three months ahead, all through a year', async () => {
    for (let n = 0; n < 370; n += 10) {
      log.clock.advance(10 * day);
      await log.replica.keeper.tick();
      const now = log.clock.now();
      const ahead = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 3)).toISOString().slice(0, 7);
      expect((await months()).at(-1)).toBe(ahead.replace('-', '_'));
      const [id] = await log.replica.record(1);
      await log.replica.settle();
      const [row] = await log.sql<{ name: string }>(`SELECT tableoid::regclass::text AS name FROM audit_event WHERE id = $1`, [id]); // prettier-ignore
      expect(row?.name).not.toBe('audit_event_default');
    }
    expect(log.replica.keeper.state().failures).toEqual([]);
  });

  it('of a month that the default one has events of already is a failure, and keeps nothing else from being done', async () => {
    const last = (await months()).at(-1)!;
    const [year, month] = last.split('_').map(Number) as [number, number];
    const next = Date.UTC(year, month) + day * 1_000;
    await log.sql(`INSERT INTO audit_event (id, event, leaf_hash, type, outcome) VALUES ($1, '{}', '', 'audit.read', 'success')`, [firstIdAt(next)]); // prettier-ignore
    log.clock.advance((next - Date.now()) / 1_000 - 45 * day);
    await log.replica.record(1);
    await log.replica.settle();
    await tick();
    expect(log.replica.keeper.state().failures).toContain('partitions');
    const made = await months();
    expect(made.filter((name) => name > last)).toHaveLength(1);
    await log.sql('DELETE FROM audit_event_default');
    log.clock.advance(3_700);
    await tick();
    expect(await months()).toHaveLength(made.length + 1);
    expect(await failing()).toMatchObject({ partitions: 0 });
    expect(await recorded()).toEqual(expect.arrayContaining(['audit.failure partitions', 'audit.recovery partitions']));
  });
});
