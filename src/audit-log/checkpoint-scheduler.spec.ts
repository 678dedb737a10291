import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { Severable } from '../../test/support/severable.js';
import { makeKeyFile } from '../../test/support/sample-log.js';
import { LOG_TEST_KEYS, LogReplica, StoredLog } from '../../test/support/stored-log.js';
import { ENTITIES } from '../../test/support/test-data-source.js';
import { createDataSourceOptions } from '../database/data-source.js';
import { readLogSigners } from '../tlog/keys.js';
import { makeLogKeys } from './log-keys.js';

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

/** Runs turns, each one second after the one before. */
async function tick(times = 1, replica = log.replica): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    log.clock.advance(1);
    await replica.keeper.tick();
  }
}

async function tickUntil(reached: () => boolean, replica = log.replica): Promise<void> {
  for (let turns = 0; !reached(); turns += 1) {
    if (turns === 100) throw new Error(`after 100 turns: ${JSON.stringify(replica.keeper.getState())}`);
    await tick(1, replica);
  }
}

/** Lists the events that were recorded about the log itself, as type and reason, oldest first. */
async function listRecorded(): Promise<string[]> {
  await log.replica.audit.beforeApplicationShutdown();
  const rows = await log.sql<{ event: string }>(
    `SELECT type || ' ' || (event::jsonb ->> 'status_code') AS event FROM audit_event
      WHERE type IN ('audit.failure', 'audit.recovery') ORDER BY id`,
  );
  return rows.map(({ event }) => event);
}

async function readFailing(replica = log.replica): Promise<Record<string, number>> {
  const { values } = await replica.metrics.auditFailing.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.failure), value]));
}

const others: pg.Client[] = [];
afterEach(() => Promise.all(others.splice(0).map((session) => session.end())));

/** Opens a transaction of another session. */
async function holdTransaction(sql: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString: log.database.ownerUrl, application_name: 'somebody else' });
  others.push(session);
  await session.connect();
  await session.query(`BEGIN; ${sql}`);
  return session;
}

describe('a turn of the sequencer', () => {
  it('sequences all pending events, also more than one batch', async () => {
    await log.replica.record(2_100);
    await tickUntil(() => log.replica.keeper.getState().size >= 2_000);
    await log.replica.settle();
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ size: 2_100, lagSeconds: 0, failures: [] });
    expect(log.replica.keeper.getState().checkpointAt).toBe(
      (await log.replica.storage.findLatestCheckpoint())?.createdAt.toISOString(),
    );
    const [size] = (await log.replica.metrics.sequencedEvents.get()).values;
    expect(size?.value).toBe(2_100);
  });
});

describe('the lag of the log', () => {
  it('does not count a transaction that is open, because its event is not visible yet', async () => {
    const open = log.database.dataSource.createQueryRunner();
    await open.startTransaction();
    await log.replica.audit.record(null, { type: 'audit.read', outcome: 'success' }, open.manager);
    await log.replica.record(1);
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ size: 1, lagSeconds: 0, failures: [] });
    await open.rollbackTransaction();
    await open.release();
  });

  it('is shown, is a failure after 30 seconds, names the session that holds the log up, and is recorded when it is over', async () => {
    log.clock.freeze();
    const holder = await holdTransaction('SELECT FROM audit_turn FOR UPDATE');
    await log.replica.record(1);
    await tick(20);
    expect(log.replica.keeper.getState()).toMatchObject({ lagSeconds: 20, standsStillSince: undefined, failures: [] });
    const began = log.clock.now().getTime() - 20_000;
    await tick(15);
    const state = log.replica.keeper.getState();
    expect(state).toMatchObject({ lagSeconds: 35, failures: ['sequencer-lag'] });
    expect(Date.parse(state.standsStillSince ?? '') - began).toBeLessThan(2_000);
    const { pid, database, user } = (
      await holder.query<object>('SELECT pg_backend_pid() AS pid, current_database() AS database, current_user AS user')
    ).rows[0] as Record<string, unknown>;
    expect(state.cause).toEqual({
      error: undefined,
      heldBy: [
        {
          pid,
          database,
          role: user,
          application: 'somebody else',
          prepared: null,
          table: 'audit_turn',
          mode: 'RowShareLock',
        },
      ],
    });
    expect(await readFailing()).toEqual({ 'sequencer-lag': 1 });
    await holder.query('COMMIT');
    // The event of the recovery is stored behind the turn that reports it, and may itself be pending for a turn.
    await tickUntil(() => log.replica.keeper.getState().lagSeconds === 0);
    expect(log.replica.keeper.getState()).toMatchObject({
      failures: [],
      standsStillSince: undefined,
      cause: undefined,
    });
    expect(await readFailing()).toEqual({ 'sequencer-lag': 0 });
    expect(await listRecorded()).toEqual(['audit.failure sequencer-lag', 'audit.recovery sequencer-lag']);
  });

  it('grows while turns fail, and the failure names the session that makes them fail', async () => {
    const options = createDataSourceOptions(log.database.url) as DataSourceOptions & { extra: object };
    const impatient = { ...options, entities: ENTITIES, extra: { ...options.extra, lock_timeout: 20 } };
    const dataSource = await new DataSource(impatient).initialize();
    const replica = new LogReplica(dataSource, log.clock);
    log.clock.freeze();
    await tick(1, replica);
    const holder = await holdTransaction('LOCK TABLE audit_leaf IN SHARE MODE');
    await log.replica.record(1);
    await tick(10, replica);
    // Half of the turns are those of another replica, which fail in the same way.
    for (let n = 0; n < 15; n += 1) {
      const other = await holdTransaction('SELECT FROM audit_turn FOR UPDATE');
      await tick(1, replica);
      await other.query('ROLLBACK');
      await tick(1, replica);
    }
    const [lag] = (await replica.metrics.oldestPendingEventAge.get()).values;
    expect(lag?.value).toBeCloseTo(40, 1);
    const { lagSeconds, standsStillSince, cause, failures } = replica.keeper.getState();
    expect([lagSeconds, failures]).toEqual([40, ['unreachable', 'sequencer-lag']]);
    expect(standsStillSince).toBeDefined();
    expect(cause?.error).toContain('lock timeout');
    expect(cause?.heldBy).toMatchObject([{ application: 'somebody else', table: 'audit_leaf', mode: 'ShareLock' }]);
    await holder.query('COMMIT');
    await tickUntil(() => replica.keeper.getState().failures.length === 0, replica);
    await replica.audit.beforeApplicationShutdown();
    expect((await listRecorded()).toSorted()).toEqual([
      'audit.failure sequencer-lag',
      'audit.failure unreachable',
      'audit.recovery sequencer-lag',
      'audit.recovery unreachable',
    ]);
    await dataSource.destroy();
  });

  it('does not count an event that was written just now, long after it happened', async () => {
    log.clock.advance(-3_600);
    await log.replica.record(1);
    log.clock.advance(3_600);
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ standsStillSince: undefined, failures: [] });
  });
});

describe('a role that only reads', () => {
  it('cannot hold up the log by advisory locks, by the turn or by a transaction that stays open', async () => {
    const auditor = new pg.Client({ connectionString: log.database.auditorUrl });
    others.push(auditor);
    await auditor.connect();
    await log.replica.record(1);
    await auditor.query('SET default_transaction_read_only = off');
    await auditor
      .query(`SELECT pg_advisory_lock(hashtextextended('passkey-manager sequencer', 0))`)
      .catch(() => undefined);
    await auditor.query('BEGIN');
    await auditor.query('SELECT pg_current_xact_id(), count(*) FROM audit_event');
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ size: 1, failures: [] });
    await expect(auditor.query('SELECT FROM audit_turn FOR UPDATE')).rejects.toMatchObject({ code: '42501' });
  });
});

describe('a database that cannot be reached', () => {
  it('is reported, and recorded with the time once the log is back', async () => {
    const wire = await Severable.openBefore(log.database.url);
    const dataSource = await new DataSource({ ...createDataSourceOptions(wire.url), entities: ENTITIES }).initialize();
    const replica = new LogReplica(dataSource, log.clock);
    await tick(1, replica);
    wire.cut();
    await tick(2, replica);
    expect(replica.keeper.getState().failures).toEqual(['unreachable']);
    expect(await readFailing(replica)).toEqual({ unreachable: 1 });
    wire.restore();
    await tickUntil(() => replica.keeper.getState().failures.length === 0, replica);
    await replica.audit.beforeApplicationShutdown();
    expect(await listRecorded()).toEqual(['audit.failure unreachable', 'audit.recovery unreachable']);
    await dataSource.destroy();
    await wire.close();
  });
});

describe('a log that was altered', () => {
  it('is reported and recorded, and is not signed until it is repaired', async () => {
    await log.replica.record(3);
    await log.replica.settle();
    await log.sql('UPDATE audit_checkpoint SET frontier = set_byte(frontier, 0, get_byte(frontier, 0) # 1)');
    await tick(2);
    expect(log.replica.keeper.getState().failures).toEqual(['log-altered']);
    expect(await log.leaves()).toHaveLength(3);
    await log.sql('UPDATE audit_checkpoint SET frontier = set_byte(frontier, 0, get_byte(frontier, 0) # 1)');
    await tickUntil(() => log.replica.keeper.getState().failures.length === 0);
    await tick();
    expect(await listRecorded()).toEqual(['audit.failure log-altered', 'audit.recovery log-altered']);
  });

  it('is noticed by a replica that another one leaves nothing to do', async () => {
    const other = log.newReplica();
    await log.replica.record(3);
    await log.replica.settle();
    await tick(1, other);
    await log.sql('DELETE FROM audit_leaf; DELETE FROM audit_checkpoint');
    await tick(1, other);
    expect(other.keeper.getState().failures).toEqual(['log-truncated']);
    await other.audit.beforeApplicationShutdown();
  });

  it('stays reported when an event was altered', async () => {
    const [id] = await log.replica.record(1);
    await log.sql(`UPDATE audit_event SET event = '{}' WHERE id = $1`, [id]);
    await log.replica.settle();
    await tick(3);
    expect(log.replica.keeper.getState().failures).toEqual(['event-altered']);
    // The turn that made it a leaf records it, and so does the check that compares it with its leaf.
    expect(await listRecorded()).toEqual(['audit.failure event-altered', 'audit.failure event-altered']);
  });

  it('is reported too when the database refuses the next batch for another reason', async () => {
    await log.sql('ALTER TABLE audit_leaf ADD CONSTRAINT refused CHECK (leaf_index < 0) NOT VALID');
    await log.replica.record(1);
    await tickUntil(() => log.replica.keeper.getState().failures.length > 0);
    expect(log.replica.keeper.getState().failures).toEqual(['sequencer-failed']);
    await log.sql('ALTER TABLE audit_leaf DROP CONSTRAINT refused');
    await tick();
    expect(log.replica.keeper.getState().failures).toEqual([]);
  });
});

describe('a log that began empty', () => {
  it('is not continued by a replica that began beside the first one with other keys or another name, and its state says why', async () => {
    const other = log.newReplica(makeLogKeys('passkey-manager/other', LOG_TEST_KEYS.signers));
    const stranger = log.newReplica(
      makeLogKeys(LOG_TEST_KEYS.origin, readLogSigners(makeKeyFile(), LOG_TEST_KEYS.origin)),
    );
    await log.replica.record(1);
    await tick();
    await tick(1, other);
    await tick(1, stranger);
    const keyIds = LOG_TEST_KEYS.signers.map(({ key }) => key.keyId);
    for (const [{ keeper }, says] of [
      [other, 'PASSKEY_DEPLOYMENT_NAME makes this log passkey-manager/other'],
      [stranger, `is signed by the keys ${keyIds.join(', ')}, but PASSKEY_AUDIT_KEY_FILE has`],
    ] as const) {
      expect(keeper.getState().failures).toEqual(['log-altered']);
      expect(keeper.getState().cause?.error).toContain(says);
    }
    for (const { audit } of [other, stranger]) await audit.beforeApplicationShutdown();
  });
});
