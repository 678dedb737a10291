import { Inject, Injectable } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { EventMacs } from '../audit/event-macs.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { SealRegister } from '../seals/seal-register.js';
import type { AuditCheckpointEntity } from './log.entities.js';
import { CompactRange } from '../tlog/merkle.js';
import { signCheckpoint } from '../tlog/checkpoint.js';
import { isStoredLevel } from '../tlog/tiles.js';
import { KeyChanges } from './key-changes.js';
import { LOG_KEYS, type LogKeys } from './log-keys.js';
import { appendToLog } from './log.repository.js';
import { LogFailures } from './log-failures.js';
import { LogWriter } from './log-writer.js';
import { Restorations } from './restorations.js';
import { LogFault, TrustedLog } from './trusted-log.js';
import { takeTurn } from './log-locks.repository.js';
import { BATCH, PendingEventsRepository, type TakenRow } from './pending-events.repository.js';
import { isOfOwner, type PendingEvent, selectEvents } from './taken-events.js';
import { UnsealedEvents } from './unsealed-events.js';

/** The result of a batch. */
export interface Batch {
  /** undefined: the batch had no event that becomes a leaf. */
  readonly checkpoint: AuditCheckpointEntity | undefined;
  /** Ids of events that were changed after they were written. */
  readonly altered: readonly string[];
  /** Ids of events that the service did not write. They get no place in the log. */
  readonly unsealed: readonly string[];
  /** True if more events are pending than one batch takes. */
  readonly more: boolean;
}

/** About every second, the replica that comes first signs a checkpoint. */
const INTERVAL_MS = 1_000;
/**
 * Under load a batch is due sooner, once about this many events are pending. Requests wait behind a batch, and behind a
 * large one they wait long.
 */
const PORTION = 250;
const MIN_INTERVAL_MS = 200;
/** How early a timer may fire, as a fraction of the interval. */
const TOLERANCE = 0.1;
/** Maximum number of altered events that a record names. */
const MAX_NAMED = 100;
/** SQLSTATE unique_violation */
const UNIQUE_VIOLATION = '23505';

/**
 * Sequences pending events. Any number of transactions write events at once. One replica at a time turns them into
 * leaves, in the order in which it sees them committed, and by id within a batch. It signs only events that the service
 * wrote, which it knows by their MAC. A batch is all or nothing: its events
 * leave `audit_pending` and become leaves, together with the stored hashes and a signed checkpoint of the new size. The
 * next batch begins there, in any replica, even after a crash.
 */
@Injectable()
export class Sequencer {
  /** Milliseconds until the next batch is due. */
  intervalMs = INTERVAL_MS;
  /** True until this process has signed a checkpoint. */
  private isFirst = true;

  constructor(
    @Inject(LogWriter) private readonly writer: Pick<DataSource, 'transaction'>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
    private readonly log: TrustedLog,
    private readonly pending: PendingEventsRepository,
    private readonly failures: LogFailures,
    private readonly keyChanges: KeyChanges,
    private readonly restorations: Restorations,
    private readonly unsealed: UnsealedEvents,
    private readonly macs: EventMacs,
    @Inject(SealRegister) private readonly register: Pick<SealRegister, 'missingKey'>,
  ) {}

  /**
   * Sequences one batch.
   *
   * @param wait true to wait for another replica's turn, and not to wait for the interval to end
   * @returns undefined if there was nothing to do, or another replica does it
   * @throws LogFault if the stored log must not be continued
   */
  async sequence(wait = false): Promise<Batch | undefined> {
    // Without a key that another replica seals with, honest events would look forged.
    if (this.register.missingKey !== undefined) return undefined;
    const { intervalMs } = this;
    this.intervalMs = INTERVAL_MS;
    const batch = await this.writer.transaction('READ COMMITTED', async (manager) => {
      if (!(await takeTurn(manager, wait, this.pending.existSql))) return undefined;
      const last = await this.log.readLatest(manager);
      const age = last ? this.clock.now().getTime() - last.createdAt.getTime() : INTERVAL_MS;
      if (!wait && age >= 0 && age < intervalMs * (1 - TOLERANCE)) return undefined;
      if (this.isFirst) await this.restorations.recordOnce(manager, last);
      if (last && this.isFirst) await this.keyChanges.recordOnce(manager, last);
      const rows = await this.pending.take(manager);
      if (rows.length === 0) return undefined;
      this.intervalMs = computeInterval(rows.length, age);
      return this.sequenceRows(manager, last, rows);
    });
    if (!batch) return undefined;
    const { checkpoint, altered, unsealed } = batch;
    if (checkpoint) this.isFirst = false;
    this.log.remember(checkpoint);
    this.unsealed.add(unsealed);
    if (altered.length > 0) {
      this.failures.reportIncident('event-altered', { count: altered.length, events: altered.slice(0, MAX_NAMED) });
    }
    return batch;
  }

  private async sequenceRows(
    manager: EntityManager,
    last: AuditCheckpointEntity | undefined,
    rows: readonly TakenRow[],
  ): Promise<Batch> {
    const { events, unsealed } = selectEvents(rows, (row) => this.macs.isGenuine(row) || (!row.mac && isOfOwner(row)));
    const checkpoint = events.length > 0 ? await this.append(manager, last, events) : undefined;
    const altered = events.filter(({ intact }) => !intact).map(({ id }) => id);
    return { checkpoint, altered, unsealed, more: rows.length === BATCH };
  }

  private async append(
    manager: EntityManager,
    last: AuditCheckpointEntity | undefined,
    events: readonly PendingEvent[],
  ): Promise<AuditCheckpointEntity> {
    const firstIndex = last?.size ?? 0;
    const range = last ? CompactRange.parse(0, last.size, last.frontier) : new CompactRange();
    const nodes = { levels: [] as number[], indexes: [] as number[], hashes: [] as Buffer[] };
    for (const { leaf_hash } of events) {
      range.append(leaf_hash, (level, index, hash) => {
        if (!isStoredLevel(level)) return;
        nodes.levels.push(level);
        nodes.indexes.push(index);
        nodes.hashes.push(hash);
      });
    }
    const checkpoint = await this.createCheckpoint(range, events.at(-1)!);
    const leaves = { firstIndex, eventIds: events.map(({ id }) => id), hashes: events.map((event) => event.leaf_hash) };
    await appendToLog(manager, leaves, nodes, checkpoint).catch(refuseFork);
    return checkpoint;
  }

  private async createCheckpoint(range: CompactRange, { id }: PendingEvent): Promise<AuditCheckpointEntity> {
    const { origin, signers } = this.keys;
    const [size, root, createdAt] = [range.end, range.computeRoot(), this.clock.now()];
    const note = await signCheckpoint({ origin, size, root, extensions: [] }, signers, createdAt);
    return { size, root, frontier: range.serialise(), lastId: id, note, createdAt };
  }
}

/** Returns the interval in which a portion arrives, given that this many events arrived in `ms`. */
function computeInterval(events: number, ms: number): number {
  return Math.min(INTERVAL_MS, Math.max(MIN_INTERVAL_MS, (PORTION * ms) / events));
}

/** Reports that a row of the next batch exists already: another writer has added it. */
function refuseFork(error: unknown): never {
  const { code, detail = '' } = (error as { driverError?: { code?: string; detail?: string } }).driverError ?? {};
  throw code === UNIQUE_VIOLATION
    ? new LogFault('log-altered', `the log already has a row that this batch adds: ${detail}`)
    : error;
}
