import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { insertEvents } from '../../test/support/insert-events.js';
import { StoredLog } from '../../test/support/stored-log.js';
import { OwnerRunner } from '../../test/support/owner-runner.js';
import { readTestRoles } from '../../test/support/test-roles.js';
import { ClosedRows1765230000000 } from '../database/migrations/1765230000000-closed-rows.js';
import { OrderWithoutTransactions1765000000000 } from '../database/migrations/1765000000000-order-without-transactions.js';
import type { Queryable } from '../database/named-statement.js';
import { beginLog } from './begin-log.js';
import { toFirstId } from '../audit/audit-event.repository.js';

Logger.overrideLogger(false);

const DAY = 86_400;

let log: StoredLog;
const others: pg.Client[] = [];
beforeAll(async () => {
  log = await StoredLog.open();
});
let years = 0;
beforeEach(async () => {
  await log.reset();
  // No partition after this time exists.
  log.clock.advance((years += 3) * 365 * DAY);
});
afterEach(() => Promise.all(others.splice(0).map((session) => session.end())));
afterAll(() => log.close());

const formatMonth = (time: Date, ahead = 0): string =>
  new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + ahead)).toISOString().slice(0, 7).replace('-', '_');

const listMonths = async (): Promise<string[]> =>
  (
    await log.sql<{ name: string }>(
      `SELECT name FROM audit_partitions() WHERE name <> 'audit_event_initial' ORDER BY name`,
    )
  ).map(({ name }) => name.replace('audit_event_', ''));

async function findPartition(id: string): Promise<string | undefined> {
  const [row] = await log.sql<{ name: string }>(
    'SELECT tableoid::regclass::text AS name FROM audit_event WHERE id = $1',
    [id],
  );
  return row?.name.replace('audit_event_', '');
}

/** Opens a transaction that has read the log and stays open, such as a `pg_dump` or an auditor's report. */
async function openReader(): Promise<pg.Client> {
  const reader = new pg.Client({ connectionString: log.database.auditorUrl, application_name: 'a report' });
  others.push(reader);
  await reader.connect();
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await reader.query('SELECT count(*) FROM audit_event');
  return reader;
}

/** Advances the clock to the first day of the next month. */
function turnMonth(): void {
  const now = log.clock.now();
  const next = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1, 0, 0, 1);
  log.clock.advance((next - now.getTime()) / 1_000);
}

/** Checks that every event has exactly one leaf, and every leaf its event. */
async function demandWhole(): Promise<void> {
  await log.replica.audit.beforeApplicationShutdown();
  await log.replica.settle();
  const [row] = await log.sql<{ events: number; leaves: number; both: number }>(
    `SELECT (SELECT count(*)::integer FROM audit_event) AS events, (SELECT count(*)::integer FROM audit_leaf) AS leaves,
            (SELECT count(*)::integer FROM audit_event JOIN audit_leaf ON event_id = id) AS both`,
  );
  expect([row!.leaves, row!.both]).toEqual([row!.events, row!.events]);
}

async function tick(): Promise<void> {
  log.clock.advance(1);
  await log.replica.partitions.make();
  await log.replica.keeper.tick();
}

describe('the monthly partitions of the log', () => {
  it('are made three months ahead, throughout a year', async () => {
    for (let n = 0; n < 370; n += 10) {
      log.clock.advance(10 * DAY);
      await tick();
      expect((await listMonths()).at(-1)).toBe(formatMonth(log.clock.now(), 3));
      const [id] = await log.replica.record(1);
      expect(await findPartition(id!)).toBe(formatMonth(log.clock.now()));
    }
    await tick();
    expect(log.replica.keeper.getState().failures).toEqual([]);
    await demandWhole();
  });

  it('are made beside an open reader as months and years change, events are sequenced, and the failure names the reader', async () => {
    while (log.clock.now().getUTCMonth() !== 10) turnMonth();
    await tick();
    const made = await listMonths();
    const reader = await openReader();
    for (let turned = 0; turned < 3; turned += 1) {
      turnMonth();
      const [id] = await log.replica.record(1);
      // Writers wait at most the 50 ms that making a partition waits, far below their own limit of 2 s.
      const writers = Array.from({ length: 20 }, () => log.replica.record(1));
      await Promise.all([tick(), ...writers]);
      const { failures, lagSeconds, standsStillSince } = log.replica.keeper.getState();
      expect([failures, standsStillSince]).toEqual([['partitions'], undefined]);
      // A writer that waited may have come after the batch. Its event is a second old, and next in turn.
      expect(lagSeconds).toBeLessThanOrEqual(1);
      expect(await findPartition(id!)).toBe(formatMonth(log.clock.now()));
      expect(await listMonths()).toEqual(made);
    }
    await log.replica.audit.beforeApplicationShutdown();
    const [record] = await log.sql<{ event: string }>(`SELECT event FROM audit_event WHERE type = 'audit.failure'`);
    const { unmapped } = JSON.parse(record!.event) as {
      unmapped: { refused: object; heldBy: { application: string }[] };
    };
    expect(Object.values(unmapped.refused)).toEqual([expect.stringContaining('lock timeout')]);
    expect(unmapped.heldBy.map(({ application }) => application)).toContain('a report');
    // This is the fourth month, which has no partition.
    turnMonth();
    const [astray] = await log.replica.record(1);
    await tick();
    expect(await findPartition(astray!)).toBe('default');
    await reader.query('COMMIT');
    log.clock.advance(600);
    await tick();
    expect(await findPartition(astray!)).toBe(formatMonth(log.clock.now()));
    expect(log.replica.keeper.getState().failures).toEqual([]);
    expect((await listMonths()).at(-1)).toBe(formatMonth(log.clock.now(), 3));
    await demandWhole();
  });

  it.each([
    [
      'a role that may not',
      `REVOKE EXECUTE ON FUNCTION audit_make_partitions(date, integer), audit_empty_default(date) FROM passkey_manager`,
      `GRANT EXECUTE ON FUNCTION audit_make_partitions(date, integer), audit_empty_default(date) TO passkey_manager`,
      'permission denied',
    ],
    ['a statement that takes too long', raiseSql('57014'), raiseSql(), '57014'],
    ['a file that is gone', raiseSql('58P01'), raiseSql(), '58P01'],
  ])('do not stop the service when they cannot be made: %s', async (_, spoil, mend, reason) => {
    const { named } = readTestRoles();
    await tick();
    await log.sql(named(spoil));
    turnMonth();
    await log.replica.record(1);
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ lagSeconds: 0, failures: ['partitions'] });
    await log.replica.audit.beforeApplicationShutdown();
    const [record] = await log.sql<{ event: string }>(`SELECT event FROM audit_event WHERE type = 'audit.failure'`);
    expect(record?.event).toContain(reason);
    await log.sql(named(mend));
    log.clock.advance(600);
    await tick();
    expect(log.replica.keeper.getState().failures).toEqual([]);
  });
});

/** Makes the database refuse every new partition. */
function raiseSql(code?: string): string {
  return code === undefined
    ? 'DROP EVENT TRIGGER refuse; DROP FUNCTION refuse'
    : `CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '${code}' USING ERRCODE = '${code}'; END $$;
       CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse()`;
}

describe('a start a year after the last one', () => {
  const asOwner = { query: (text: string, values?: unknown[]) => log.sql(text, values) } as Queryable;

  it('makes the month before the first event', async () => {
    await beginLog(asOwner, ['Later1'], log.clock.now());
    const [row] = await log.sql<{ name: string }>(
      `SELECT tableoid::regclass::text AS name FROM audit_event WHERE type = 'schema.migrate'`,
    );
    expect(row?.name).toBe(`audit_event_${formatMonth(log.clock.now())}`);
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ lagSeconds: 0, failures: [] });
    await demandWhole();
  });

  it('continues where a reader keeps the month from being made, and repairs that', async () => {
    const reader = await openReader();
    await beginLog(asOwner, ['Later1'], log.clock.now());
    const [row] = await log.sql<{ id: string }>(`SELECT id FROM audit_event WHERE type = 'schema.migrate'`);
    expect(await findPartition(row!.id)).toBe('default');
    await tick();
    expect(log.replica.keeper.getState()).toMatchObject({ lagSeconds: 0, failures: ['partitions'] });
    await reader.query('COMMIT');
    log.clock.advance(600);
    await tick();
    expect(await findPartition(row!.id)).toBe(formatMonth(log.clock.now()));
    expect(log.replica.keeper.getState().failures).toEqual([]);
    await demandWhole();
  });
});

describe('events in the default partition', () => {
  const insert = (at: Date, count: number): Promise<unknown> =>
    insertEvents(log.database.dataSource, log.replica.audit, 'audit.read', at, count);

  it('move to their months in bounded steps, are read meanwhile, and new ones move with them', async () => {
    const later = new Date(Date.UTC(2140, 5, 15));
    await insert(later, 4_500);
    await insert(new Date(Date.UTC(2140, 7, 1)), 10);
    const stray = new Date(Date.UTC(2198, 0, 1));
    await insert(stray, 3);
    const step = async (): Promise<boolean> => {
      const rows = await log.database.dataSource.query<{ more: boolean }[]>(
        `SELECT audit_empty_default('2140-09-01') AS more`,
      );
      return rows[0]!.more;
    };
    const counts: number[] = [];
    const ids: string[] = [];
    for (let more = true; more;) {
      log.clock.advance((later.getTime() - log.clock.now().getTime()) / 1_000);
      ids.push(...(await log.replica.record(1)));
      more = await step();
      const [row] = await log.sql<{ count: number }>('SELECT count(*)::integer FROM audit_event');
      counts.push(row!.count - ids.length);
    }
    expect(counts).toEqual([4_513, 4_513, 4_513, 4_513]);
    expect(await findPartition(ids[0]!)).toBe('2140_06');
    expect(new Set(await Promise.all(ids.map(findPartition)))).toEqual(new Set(['2140_06']));
    const left = await log.sql<{ id: string }>('SELECT id FROM audit_event_default');
    expect(left.map(({ id }) => id.slice(0, 13))).toEqual(Array(3).fill(toFirstId(stray.getTime()).slice(0, 13)));
    expect((await listMonths()).filter((month) => month.startsWith('2140'))).toEqual(['2140_06', '2140_08']);
    expect(await step()).toBe(false);
    expect(
      await log.sql(
        `SELECT FROM pg_class WHERE relkind IN ('r', 'p') AND relname ~ '^audit_event_(moving|moved|rest)'`,
      ),
    ).toEqual([]);
    await demandWhole();
  });

  it('move from the beginning after a migration that changes their columns, and none is lost', async () => {
    await insert(new Date(Date.UTC(2142, 5, 15)), 4_500);
    const step = `SELECT audit_empty_default('2142-09-01') AS more`;
    await log.database.dataSource.query(step);
    await log.database.dataSource.query(step);
    const migration = new OrderWithoutTransactions1765000000000();
    const { runner } = new OwnerRunner(log);
    const later = new ClosedRows1765230000000();
    await later.down(runner);
    await migration.down(runner);
    await migration.up(runner);
    await later.up(runner);
    await insert(new Date(Date.UTC(2142, 6, 1)), 3);
    for (let more = true; more;) more = (await log.database.dataSource.query<{ more: boolean }[]>(step))[0]!.more;
    expect((await listMonths()).filter((month) => month.startsWith('2142'))).toEqual(['2142_06', '2142_07']);
    expect(await log.sql('SELECT FROM audit_event_default')).toEqual([]);
    const [row] = await log.sql<{ count: number }>('SELECT count(*)::integer FROM audit_event');
    expect(row?.count).toBe(4_503);
    await demandWhole();
  });

  it('of an archived month stay there for a person to look at', async () => {
    const at = new Date(Date.UTC(2141, 2, 3));
    await log.sql(
      `INSERT INTO audit_archive VALUES ('audit_event_2141_03', $1, $2, 0, 0, 0, '', now())`,
      [new Date(Date.UTC(2141, 2)), new Date(Date.UTC(2141, 3))].map((time) => toFirstId(time.getTime())),
    );
    await insert(at, 1);
    await log.database.dataSource.query(`SELECT audit_empty_default('2141-09-01')`);
    expect(await listMonths()).not.toContain('2141_03');
  });
});
