import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { AuditEventEntity } from '../src/audit/audit-event.entity.js';
import { AuditService } from '../src/audit/audit.service.js';
import { runInArchiveSession } from '../commands/audit-archive/archive-session.js';
import { type ArchivedMonth, LogArchiver } from '../commands/audit-archive/log-archiver.js';
import { thinCheckpoints } from '../commands/audit-archive/thin-checkpoints.js';
import { CompactRange, hashLeaf } from '../src/tlog/merkle.js';
import { formatEvent, formatProof } from '../src/tlog/export-lines.js';
import { LOG_KEYS, type LogKeys } from '../src/audit-log/log-keys.js';
import { toFirstId } from '../src/audit/audit-event.repository.js';
import { parseVerifierKeys, type VerifierKey } from '../src/tlog/keys.js';
import { openCheckpoint, signCheckpoint } from '../src/tlog/checkpoint.js';
import { type ProvedExport, verifyExport } from '../src/tlog/export-verifier.js';
import { verifyConsistency } from '../src/tlog/proofs.js';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { LogLines } from '../src/audit-log/log-lines.js';
import { LogProofs } from '../src/audit-log/log-proofs.js';
import { LogPartitions } from '../src/audit-log/log-partitions.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { TestService } from './support/service.js';

const EVENTS_A_MONTH = 60;
const MONTHS = 12;

let service: TestService;
let keys: VerifierKey[];
let directory: string;
/** The checkpoints at the ends of the months. */
const notes: string[] = [];
beforeAll(async () => {
  [service, directory] = await Promise.all([TestService.start(), mkdtemp(join(tmpdir(), 'passkey-archive-'))]);
  keys = parseVerifierKeys(of(LogProofs).verifierKeys);
  for (let month = 0; month < MONTHS; month += 1) {
    for (let count = 0; count < EVENTS_A_MONTH; count += 1) await record(count);
    await settle();
    notes.push((await of(LogProofs).getCheckpoint()).note);
    service.clock.advance((nextMonth() - service.clock.now().getTime()) / 1_000 + 3_600);
    await of(LogPartitions).make();
  }
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});

const of = <T>(type: abstract new (...args: never[]) => T): T => service.running.app.get(type, { strict: false });

async function record(count: number): Promise<void> {
  await of(AuditService).record(null, { type: 'policy.reload', outcome: 'success', facts: { count } });
  service.clock.advance(60);
}

async function planned(before: Date): Promise<ArchivedMonth[]> {
  const request = { before, directory, keys, now: () => service.clock.now() };
  return runInArchiveSession(
    service.database.migratorUrl,
    (dataSource) => Readable.from(new LogArchiver(dataSource, request).plan()).toArray() as Promise<ArchivedMonth[]>,
  );
}

async function settle(): Promise<void> {
  while ((await of(PendingEventsRepository).findOldest()) !== undefined) {
    service.clock.advance(1);
    await of(CheckpointScheduler).tick();
  }
}

function nextMonth(): number {
  const now = service.clock.now();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}

/** Returns the first day of the month, this many months ago. */
function monthsAgo(months: number): Date {
  const now = service.clock.now();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1));
}

async function archive(before: Date, to = directory): Promise<ArchivedMonth[]> {
  await settle();
  return runInArchiveSession(service.database.migratorUrl, async (dataSource) => {
    const request = { before, directory: to, keys, now: () => service.clock.now() };
    return Readable.from(new LogArchiver(dataSource, request).run()).toArray() as Promise<ArchivedMonth[]>;
  });
}

const partitions = async (): Promise<string[]> =>
  (await service.sql<{ name: string }>('SELECT name FROM audit_partitions() ORDER BY lower_id')).map(
    ({ name }) => name,
  );

async function wholeLog(): Promise<ProvedExport> {
  await settle();
  const { size, note } = await of(LogProofs).getCheckpoint();
  return verifyExport(of(LogLines).formatRange({ from: 0, to: size }, { size, note }, null), keys);
}

const events = async (): Promise<number> =>
  (await service.sql<{ n: string }>('SELECT count(*) AS n FROM audit_event')).map(({ n }) => Number(n))[0]!;

describe('a year of the log', () => {
  it('has a partition for each month, and nothing in the default one', async () => {
    expect((await partitions()).length).toBeGreaterThanOrEqual(MONTHS);
    expect(await service.sql('SELECT id FROM audit_event_default')).toEqual([]);
  });

  it('is left alone by a dry run, which lists what it would archive', async () => {
    const before = await events();
    expect((await planned(monthsAgo(9))).map(({ partition }) => partition.name)).toEqual(
      await partitionsBefore(monthsAgo(9)),
    );
    expect([await events(), await readdir(directory)]).toEqual([before, []]);
  });

  it('stays whole when a file cannot be written or is another one', async () => {
    const [before, month] = [await events(), monthsAgo(10)];
    const place = join(directory, 'file');
    await writeFile(place, '');
    await expect(archive(month, place)).rejects.toMatchObject({ code: 'ENOTDIR' });
    const [first] = await planned(month);
    await writeFile(first!.path, 'something else\n');
    await expect(archive(month)).rejects.toThrow(/exists and does not verify \(line 1: is not JSON\): move it away/);
    await Promise.all([rm(first!.path), rm(place)]);
    expect(await events()).toBe(before);
  });

  it('stays whole when a file is of another log that was signed with its keys', async () => {
    const [first] = await planned(monthsAgo(10));
    const { to } = first!.extent;
    const { origin, signers } = service.running.app.get<LogKeys>(LOG_KEYS, { strict: false });
    const range = new CompactRange();
    const lines = Array.from({ length: to }, (_, index) => {
      range.append(hashLeaf(`{"n":${String(index)}}`));
      return formatEvent(index, `{"n":${String(index)}}`);
    });
    const checkpoint = await signCheckpoint(
      { origin, size: to, root: range.computeRoot(), extensions: [] },
      signers,
      new Date(),
    );
    const proof = formatProof({ treeSize: to, from: 0, to, left: [], right: [], checkpoint });
    await writeFile(first!.path, [...lines, proof].join(''));
    const before = await events();
    await expect(archive(monthsAgo(10))).rejects.toThrow('belongs to a log that this one does not continue');
    expect(await events()).toBe(before);
    await rm(first!.path);
  });

  it('stays whole when an event was altered', async () => {
    const [row] = await service.sql<{ id: string; event: string }>(
      'SELECT id, event FROM audit_event ORDER BY id OFFSET 5 LIMIT 1',
    );
    await service.sql('UPDATE audit_event SET event = $2 WHERE id = $1', [row!.id, '{}']);
    await expect(archive(monthsAgo(10))).rejects.toThrow(
      /is not archived: its events do not verify: line \d+: the event does not match/,
    );
    await service.sql('UPDATE audit_event SET event = $2 WHERE id = $1', [row!.id, row!.event]);
  });

  it('is archived only by its owner, and only by one run at a time', async () => {
    await expect(runInArchiveSession(service.database.url, () => Promise.resolve())).rejects.toThrow(
      /does not own audit_event/,
    );
    await runInArchiveSession(service.database.migratorUrl, async () => {
      await expect(archive(monthsAgo(9))).rejects.toThrow('another session is archiving the log');
    });
  });

  it('leaves the database month by month, for files that prove themselves', async () => {
    for (let months = MONTHS - 1; months >= 3; months -= 1) {
      const done = await archive(monthsAgo(months));
      for (const { path, partition, extent, file } of done) {
        const proved = await verifyExport(
          createReadStream(path),
          parseVerifierKeys(await readFile(path.replace('ndjson', 'pub'), 'utf8')),
        );
        expect(proved).toMatchObject({ from: extent.from, to: extent.to, events: extent.to - extent.from, erased: 0 });
        expect(openCheckpoint(await readFile(path.replace('ndjson', 'checkpoint'), 'utf8'), keys).size).toBe(
          proved.checkpoint.size,
        );
        const [row] = await service.sql<{ events: string; digest: Buffer }>(
          'SELECT events, digest FROM audit_archive WHERE partition = $1',
          [partition.name],
        );
        expect([Number(row?.events), row?.digest]).toEqual([extent.events, file?.digest]);
      }
      expect(await partitionsBefore(monthsAgo(months))).toEqual([]);
      const log = await wholeLog();
      const [archived] = await service.sql<{ n: string }>('SELECT sum(events) AS n FROM audit_archive');
      expect([log.erased, log.events]).toEqual([Number(archived?.n), log.checkpoint.size - Number(archived?.n)]);
    }
    expect((await readdir(directory)).filter((name) => name.endsWith('.partial'))).toEqual([]);
    expect(await archive(monthsAgo(3))).toEqual([]);
  });

  it('records in the log itself what was archived', async () => {
    const rows = await service.sql<{ event: string }>(
      "SELECT event FROM audit_event WHERE type = 'audit.archive' ORDER BY id",
    );
    const archived = await service.sql<{ digest: Buffer; partition: string }>(
      'SELECT digest, partition FROM audit_archive ORDER BY lower_id',
    );
    const told = rows.map(
      ({ event }) => (JSON.parse(event) as { unmapped: { partition: string; sha256: string } }).unmapped,
    );
    expect(told.map(({ partition, sha256 }) => [partition, sha256])).toEqual(
      archived.map((row) => [row.partition, row.digest.toString('hex')]),
    );
    expect(told.length).toBeGreaterThanOrEqual(9);
  });

  it('still continues every checkpoint that was signed in it', async () => {
    const last = openCheckpoint((await of(LogProofs).getCheckpoint()).note, keys);
    for (const note of notes) {
      const { size: from, root: fromRoot } = openCheckpoint(note, keys);
      const { proof } = await of(LogProofs).proveConsistency(from, last.size);
      const hashes = proof.map((hash) => Buffer.from(hash, 'base64url'));
      expect(verifyConsistency({ from, to: last.size, proof: hashes, fromRoot, toRoot: last.root })).toBe(true);
    }
  });

  it('is read only from the partitions of the requested time', async () => {
    const [from, to] = [monthsAgo(2), monthsAgo(1)].map((date) => toFirstId(date.getTime()));
    const pool = new DataSource({
      type: 'postgres',
      driver: pg,
      url: service.database.url,
      entities: [AuditEventEntity],
      extra: { options: '-c enable_seqscan=off' },
    });
    await pool.initialize();
    const [sql, values] = pool
      .getRepository(AuditEventEntity)
      .createQueryBuilder('e')
      .where('e.id >= :from AND e.id < :to', { from, to })
      .orderBy('e.id', 'DESC')
      .take(51)
      .getQueryAndParameters();
    const plan = JSON.stringify(await pool.query(`EXPLAIN ${sql}`, values));
    await pool.destroy();
    expect(new Set(plan.match(/audit_event_\d{4}_\d\d(?=_pkey)/g))).toEqual(
      new Set([`audit_event_${monthsAgo(2).toISOString().slice(0, 7).replace('-', '_')}`]),
    );
    expect(plan).not.toContain('Seq Scan');
  });

  it('keeps the last checkpoint of each hour of archived months, and all of the others', async () => {
    type Kept = { size: string; hour: Date; archived: boolean };
    const read = (): Promise<Kept[]> =>
      service.sql<Kept>(`SELECT size, date_trunc('hour', created_at) AS hour,
        EXISTS (SELECT FROM audit_archive WHERE size BETWEEN from_leaf AND to_leaf) AS archived
        FROM audit_checkpoint c ORDER BY c.size`);
    // One more event, in the same hour as an event of an archived month.
    await service.sql(`
      INSERT INTO audit_checkpoint (size, root, frontier, last_id, note, created_at)
      SELECT size - 1, root, frontier, last_id, note, created_at
        FROM audit_checkpoint c
       WHERE size > 1
         AND EXISTS (SELECT FROM audit_archive WHERE size - 1 BETWEEN from_leaf AND to_leaf AND size <= to_leaf)
         AND NOT EXISTS (SELECT FROM audit_checkpoint WHERE size = c.size - 1)
       ORDER BY size LIMIT 1`);
    const before = await read();
    const thinned = await runInArchiveSession(service.database.migratorUrl, (dataSource) =>
      thinCheckpoints(dataSource, 3),
    );
    const after = await read();
    const expected = before.filter(
      ({ archived, hour }, index) =>
        !archived || !before[index + 1]?.archived || before[index + 1]?.hour.getTime() !== hour.getTime(),
    );
    expect(after).toEqual(expected);
    expect(thinned).toBe(before.length - after.length);
    expect(thinned).toBeGreaterThan(0);
    expect(await runInArchiveSession(service.database.migratorUrl, (dataSource) => thinCheckpoints(dataSource))).toBe(
      0,
    );
  });
});

async function partitionsBefore(date: Date): Promise<string[]> {
  const rows = await service.sql<{ name: string }>(
    'SELECT name FROM audit_partitions() WHERE upper_id <= $1 ORDER BY lower_id',
    [toFirstId(date.getTime())],
  );
  return rows.map(({ name }) => name);
}
