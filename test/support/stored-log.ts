import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { AuditService } from '../../src/audit/audit.service.js';
import { EventMacs } from '../../src/audit/event-macs.js';
import { Anchors } from '../../src/anchors/anchors.js';
import { LogCheck } from '../../src/audit-log/log-check.js';
import { LogFailures } from '../../src/audit-log/log-failures.js';
import type { SecretKeys } from '../../src/config/secret-keys.js';
import { CheckpointScheduler } from '../../src/audit-log/checkpoint-scheduler.js';
import { KeyChanges } from '../../src/audit-log/key-changes.js';
import { type LogKeys, makeLogKeys } from '../../src/audit-log/log-keys.js';
import { LogLines } from '../../src/audit-log/log-lines.js';
import { LogMemory } from '../../src/audit-log/log-memory.js';
import { Restorations } from '../../src/audit-log/restorations.js';
import { LogPartitions } from '../../src/audit-log/log-partitions.js';
import { LogProofs } from '../../src/audit-log/log-proofs.js';
import { StandstillDetector } from '../../src/audit-log/standstill-detector.js';
import { LogRepository } from '../../src/audit-log/log.repository.js';
import { SampleLog } from './sample-log.js';
import { PendingEventsRepository } from '../../src/audit-log/pending-events.repository.js';
import { Sequencer } from '../../src/audit-log/sequencer.js';
import { UnsealedEvents } from '../../src/audit-log/unsealed-events.js';
import { TrustedLog } from '../../src/audit-log/trusted-log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { FakeClock } from './fake-clock.js';
import { makeSeals, TEST_KEYS } from './secret-keys.js';
import { openTestDataSource, type TestDataSource } from './test-data-source.js';

export const LOG_TEST_KEYS: LogKeys = makeLogKeys(SampleLog.ORIGIN, SampleLog.SIGNERS);

/** The parts of a replica that work on the log, with the state that they remember. */
export class LogReplica {
  readonly metrics = new Metrics();
  readonly audit: AuditService;
  readonly storage: LogRepository;
  readonly trusted: TrustedLog;
  readonly pending: PendingEventsRepository;
  readonly failures: LogFailures;
  readonly unsealed: UnsealedEvents;
  readonly sequencer: Sequencer;
  readonly check: LogCheck;
  readonly partitions: LogPartitions;
  readonly keeper: CheckpointScheduler;
  readonly proofs: LogProofs;
  readonly lines: LogLines;

  constructor(
    private readonly dataSource: DataSource,
    readonly clock: FakeClock,
    keys: LogKeys = LOG_TEST_KEYS,
    secrets: Pick<SecretKeys, 'seals'> = TEST_KEYS,
    register = { areSealsNew: true },
    memory = new LogMemory(),
  ) {
    this.audit = new AuditService(dataSource, clock, this.metrics, { ...TEST_KEYS, ...secrets }, makeSeals(secrets));
    this.storage = new LogRepository(dataSource);
    this.trusted = new TrustedLog(keys, this.storage, memory);
    this.pending = new PendingEventsRepository(dataSource);
    this.failures = new LogFailures(clock, this.audit, this.metrics);
    const { trusted, pending, failures, metrics } = this;
    const keyChanges = new KeyChanges(keys, this.audit);
    this.unsealed = new UnsealedEvents(clock, failures);
    const restorations = new Restorations(memory, this.storage, this.audit);
    this.sequencer = new Sequencer(
      ...([dataSource, clock, keys, trusted, pending, failures, keyChanges, restorations] as const),
      ...([this.unsealed, new EventMacs(makeSeals(secrets), register), { missingKey: undefined }] as const),
    );
    this.partitions = new LogPartitions(dataSource, clock, failures);
    this.check = new LogCheck(dataSource, clock, failures, this.unsealed);
    this.keeper = new CheckpointScheduler(
      ...([
        this.sequencer,
        trusted,
        pending,
        this.partitions,
        this.check,
        new StandstillDetector(dataSource, clock),
      ] as const),
      ...([failures, metrics, new Anchors({}, metrics), this.unsealed, {}] as const),
    );
    this.proofs = new LogProofs(this.storage, this.sequencer, keys);
    this.lines = new LogLines(this.storage);
  }

  /** Records events: up to ten in a transaction each, more in one. @returns their ids in the order of the log */
  async record(count: number): Promise<string[]> {
    const ids: string[] = [];
    const write = async (through: DataSource | EntityManager): Promise<void> => {
      while (ids.length < count)
        ids.push(await this.audit.record(null, { type: 'audit.read', outcome: 'success' }, through));
    };
    await (count > 10 ? this.dataSource.transaction(write) : write(this.dataSource));
    return ids;
  }

  /** Sequences until no event is pending. */
  async settle(): Promise<void> {
    await this.sequencer.sequence(true);
    while ((await this.pending.findOldest()) !== undefined) {
      await sleep(5);
      await this.sequencer.sequence(true);
    }
  }
}

/** A database with an empty log, and one replica. */
export class StoredLog {
  readonly clock = new FakeClock();
  replica: LogReplica;

  private constructor(readonly database: TestDataSource) {
    this.replica = this.newReplica();
  }

  static async open(): Promise<StoredLog> {
    return new StoredLog(await openTestDataSource());
  }

  newReplica(keys?: LogKeys, secrets?: Pick<SecretKeys, 'seals'>, register?: { areSealsNew: boolean }): LogReplica {
    return new LogReplica(this.database.dataSource, this.clock, keys, secrets, register);
  }

  /** Opens a replica that remembers the log. */
  newReplicaWith(memory: LogMemory): LogReplica {
    return new LogReplica(this.database.dataSource, this.clock, undefined, undefined, undefined, memory);
  }

  sql<Row extends object>(text: string, values?: unknown[]): Promise<Row[]> {
    return this.database.sql<Row>(text, values);
  }

  /** Empties the log, and replaces the replica by one that remembers nothing. */
  async reset(): Promise<void> {
    await this.sql('TRUNCATE audit_event, audit_pending, audit_leaf, audit_node, audit_checkpoint, audit_archive');
    this.clock.reset();
    this.replica = this.newReplica();
  }

  /** Returns the events of the leaves. @throws Error when a leaf is missing */
  async leaves(): Promise<string[]> {
    const rows = await this.sql<{ index: string; id: string }>(
      'SELECT leaf_index AS index, event_id AS id FROM audit_leaf ORDER BY leaf_index',
    );
    rows.forEach(({ index }, expected) => {
      if (Number(index) !== expected) throw new Error(`leaf ${index} is where ${String(expected)} should be`);
    });
    return rows.map(({ id }) => id);
  }

  close(): Promise<void> {
    return this.database.close();
  }
}
