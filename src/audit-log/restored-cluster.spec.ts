import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { FakeClock } from '../../test/support/fake-clock.js';
import { Severable } from '../../test/support/severable.js';
import { LogReplica } from '../../test/support/stored-log.js';
import { ENTITIES } from '../../test/support/test-data-source.js';
import { INSERT_EVENT } from '../audit/audit-event.repository.js';
import { createDataSourceOptions } from '../database/data-source.js';
import { migrate } from '../database/schema.js';
import { SUPERUSER } from '../../dev/embedded-postgres/cluster.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';
import { runRoleScript } from '../database/role-scripts.js';
import { CompactRange } from '../tlog/merkle.js';

Logger.overrideLogger(false);

const TABLES = ['audit_event', 'audit_pending', 'audit_leaf', 'audit_node', 'audit_checkpoint'];
const PASSWORD = 'the same in every cluster';
const READ = { type: 'audit.read', outcome: 'success' } as const;

/** A cluster with transaction numbers of its own. */
class Cluster {
  private constructor(
    readonly directory: string,
    private postgres: EmbeddedPostgres,
    /** Session of a superuser. */
    private session: pg.Client,
  ) {}

  static async start(): Promise<Cluster> {
    const directory = await mkdtemp(join(tmpdir(), 'passkey-manager-cluster-'));
    const postgres = await startEmbeddedPostgres({ directory, durable: false });
    await migrate(postgres.migratorUrl);
    await runRoleScript('grants.sql', postgres.migratorUrl);
    const cluster = new Cluster(directory, postgres, await connect(await readSuperuserUrl(directory, postgres)));
    await cluster.sql(`ALTER ROLE passkey_manager PASSWORD '${PASSWORD}'`);
    return cluster;
  }

  /** URL of the service's role. */
  get url(): string {
    return Object.assign(new URL(this.postgres.url), { password: PASSWORD }).href;
  }

  async sql<Row extends object>(text: string, values?: unknown[]): Promise<Row[]> {
    return (await this.session.query<Row>(text, values)).rows;
  }

  async openReplica(clock: FakeClock): Promise<LogReplica> {
    return new LogReplica(await openDataSource(this.url), clock);
  }

  /** Uses up transaction numbers. */
  async useTransactionNumbers(numbers: number): Promise<void> {
    await this.sql(
      `DO $$ BEGIN FOR n IN 1 .. ${String(numbers)} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`,
    );
  }

  async readTransactionNumber(): Promise<number> {
    const [row] = await this.sql<{ number: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS number');
    return Number(row?.number);
  }

  /** Copies the tables of another cluster, as restoring a dump does. */
  async restore(from: Cluster): Promise<void> {
    await this.sql(`TRUNCATE ${TABLES.join()}`);
    for (const table of TABLES) {
      const rows = await from.sql<{ row: string }>(`SELECT t::text AS row FROM ${table} AS t`);
      await this.sql(`INSERT INTO ${table} SELECT (row::${table}).* FROM unnest($1::text[]) AS row`, [
        rows.map(({ row }) => row),
      ]);
    }
  }

  /** Checks that every event has its leaf, and that the newest checkpoint matches the leaves. */
  async demandWhole(): Promise<void> {
    const leaves = await this.sql<{ index: number; hash: Buffer; whole: boolean }>(
      `SELECT leaf_index::integer AS index, l.leaf_hash AS hash, e.leaf_hash = l.leaf_hash AS whole
         FROM audit_leaf l JOIN audit_event e ON e.id = event_id ORDER BY leaf_index`,
    );
    const [events] = await this.sql<{ count: number }>('SELECT count(*)::integer FROM audit_event');
    const [last] = await this.sql<{ root: Buffer }>('SELECT root FROM audit_checkpoint ORDER BY size DESC LIMIT 1');
    const range = new CompactRange();
    for (const { hash } of leaves) range.append(hash);
    expect(leaves.every(({ index, whole }, expected) => whole && index === expected)).toBe(true);
    expect([leaves.length, range.computeRoot()]).toEqual([events?.count, last?.root]);
  }

  async restart(): Promise<void> {
    await this.session.end();
    await this.postgres.stop();
    this.postgres = await startEmbeddedPostgres({ directory: this.directory, durable: false });
    this.session = await connect(await readSuperuserUrl(this.directory, this.postgres));
    await this.sql(`ALTER ROLE passkey_manager PASSWORD '${PASSWORD}'`);
  }

  async stop(): Promise<void> {
    await this.session.end();
    await this.postgres.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function readSuperuserUrl(directory: string, { url }: EmbeddedPostgres): Promise<string> {
  const password = (await readFile(join(directory, 'postgres', 'password'), 'utf8')).trim();
  return Object.assign(new URL(url), { username: SUPERUSER, password }).href;
}

async function connect(connectionString: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString, application_name: 'somebody else' });
  await session.connect();
  return session;
}

async function openDataSource(url: string): Promise<DataSource> {
  return new DataSource({ ...createDataSourceOptions(url), entities: ENTITIES }).initialize();
}

const clock = new FakeClock();
const open: [LogReplica, DataSource][] = [];
let old: Cluster;
let other: Cluster;
beforeAll(async () => {
  [old, other] = await Promise.all([Cluster.start(), Cluster.start()]);
});
afterAll(async () => {
  for (const [replica, dataSource] of open) {
    await replica.audit.beforeApplicationShutdown();
    await dataSource.destroy();
  }
  await Promise.all([old.stop(), other.stop()]);
});

/** Starts a process on a cluster, or on the wire to one. */
async function startOn({ url }: { url: string }): Promise<[LogReplica, DataSource]> {
  const dataSource = await openDataSource(url);
  const started: [LogReplica, DataSource] = [new LogReplica(dataSource, clock), dataSource];
  open.push(started);
  return started;
}

async function tick(replica: LogReplica, times = 1): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    clock.advance(1);
    await replica.keeper.tick();
  }
}

describe('a log that was restored from a dump into another cluster', () => {
  it('has every event when the counter passes the old one while a transaction is open and the process restarts', async () => {
    await old.useTransactionNumbers(3_000);
    const [before] = await startOn(old);
    await before.record(5);
    await before.settle();
    await before.record(3);
    await other.restore(old);
    expect(await other.readTransactionNumber()).toBeLessThan(await old.readTransactionNumber());

    const [first, dataSource] = await startOn(other);
    await first.record(10);
    await first.settle();
    const late = dataSource.createQueryRunner();
    await late.startTransaction();
    await first.audit.record(null, READ, late.manager);
    await other.useTransactionNumbers((await old.readTransactionNumber()) - (await other.readTransactionNumber()) + 10);
    await first.record(40);
    const [second] = await startOn(other);
    await second.record(1);
    await tick(second, 2);
    expect(second.keeper.getState()).toMatchObject({ size: 5 + 3 + 10 + 40 + 1, lagSeconds: 0, failures: [] });
    await late.commitTransaction();
    await late.release();
    await tick(second, 2);
    expect(second.keeper.getState()).toMatchObject({ size: 60, lagSeconds: 0, failures: [] });
    await other.demandWhole();
  });

  it('has every event after two cutovers in the life of one process', async () => {
    await old.restore(other);
    const wire = await Severable.openBefore(old.url);
    const [replica] = await startOn(wire);
    await tick(replica);
    for (const [from, to] of [
      [old, other],
      [other, old],
    ] as const) {
      const expected = replica.keeper.getState().size + 8;
      for (const sequenced of [true, false]) {
        await replica.record(4);
        if (sequenced) await tick(replica);
      }
      wire.cut();
      await to.restore(from);
      wire.redirect(to.url);
      for (let turns = 0; replica.keeper.getState().size < expected; turns += 1) {
        expect(turns).toBeLessThan(20);
        await tick(replica);
      }
      await replica.record(8);
      await replica.audit.beforeApplicationShutdown();
      await replica.settle();
      await tick(replica);
      expect(replica.keeper.getState().failures).toEqual([]);
      await to.demandWhole();
    }
    await wire.close();
  });
});

describe('a prepared transaction', () => {
  beforeAll(async () => {
    await old.sql('ALTER SYSTEM SET max_prepared_transactions = 4');
    await old.restart();
  });

  it('of another database, or one that has written events, does not hold the log up', async () => {
    const [replica] = await startOn(old);
    const { size } = (await replica.storage.findLatestCheckpoint())!;
    const elsewhere = await connect(
      Object.assign(new URL(await readSuperuserUrl(old.directory, { url: old.url } as EmbeddedPostgres)), {
        pathname: '/postgres',
      }).href,
    );
    await elsewhere.query(`BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'elsewhere'`);
    await old.sql('BEGIN');
    const { values } = replica.audit.createRow(null, READ);
    await old.sql(INSERT_EVENT.text, [...values]);
    await old.sql(`PREPARE TRANSACTION 'here'`);
    await replica.record(3);
    await tick(replica);
    expect(replica.keeper.getState()).toMatchObject({ size: size + 3, lagSeconds: 0, failures: [] });
    await old.sql(`COMMIT PREPARED 'here'`);
    await tick(replica);
    expect(replica.keeper.getState()).toMatchObject({ size: size + 4, lagSeconds: 0 });
    await elsewhere.query(`ROLLBACK PREPARED 'elsewhere'`);
    await elsewhere.end();
  });

  it('that holds the log up is named in the failure', async () => {
    const [replica] = await startOn(old);
    await tick(replica);
    await old.sql('BEGIN');
    await old.sql('SELECT FROM audit_turn FOR UPDATE');
    await old.sql(`PREPARE TRANSACTION 'forgotten'`);
    await replica.record(1);
    await tick(replica, 35);
    const { standsStillSince, cause } = replica.keeper.getState();
    expect(standsStillSince).toBeDefined();
    expect(cause?.heldBy).toMatchObject([{ pid: null, prepared: 'forgotten', role: SUPERUSER, table: 'audit_turn' }]);
    await old.sql(`ROLLBACK PREPARED 'forgotten'`);
    await tick(replica);
    expect(replica.keeper.getState()).toMatchObject({ lagSeconds: 0, standsStillSince: undefined });
  });
});
