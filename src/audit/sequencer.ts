import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import { CompactRange } from './log/compact-range.js';
import { signCheckpoint } from './log/signed-checkpoint.js';
import { isStoredLevel } from './log/stored-hashes.js';
import { LOG_KEYS, type LogKeys } from './log-keys.js';
import { appendToLog } from './log-storage.js';
import { LogFailures } from './log-failures.js';
import { LogFault } from './log-fault.js';
import { TrustedLog } from './trusted-log.js';
import { type LogTurn, takeTurn } from './log-turn.js';
import { type PendingEvent, PendingEvents, type TakenEvents } from './pending-events.js';

/** What a batch did to the log. */
export interface Batch {
  readonly checkpoint: AuditCheckpointEntity;
  /** Ids of events that were changed between their writing and now. */
  readonly altered: readonly string[];
  /** More events wait than one batch takes. */
  readonly more: boolean;
}

/** A checkpoint is signed about every second, by whichever replica comes first. */
const INTERVAL_MS = 1_000;
/** Under load sooner, once about so many events wait: requests wait behind a batch, and behind a large one for long. */
const PORTION = 250;
const MIN_INTERVAL_MS = 200;
/** A timer comes early. In parts of the interval. */
const TOLERANCE = 0.1;
/** Of altered events, in the record of it. */
const MAX_NAMED = 100;
/** SQLSTATE unique_violation */
const UNIQUE_VIOLATION = '23505';

/**
 * Puts the log in order: events are written by any number of transactions at once, and become leaves here, one replica
 * at a time, in the order in which it sees them committed, and within a batch by their ids. A batch is all or nothing: events
 * leave `audit_pending` and become leaves, with stored hashes and the signed checkpoint that says how far the order has come.
 * The next batch begins there, in any replica, and after a crash, too.
 */
@Injectable()
export class Sequencer {
  /** Milliseconds until the next batch is due. */
  intervalMs = INTERVAL_MS;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
    private readonly log: TrustedLog,
    private readonly pending: PendingEvents,
    private readonly failures: LogFailures,
  ) {}

  /**
   * @param wait for another replica that is at it, and do not wait for the interval to be over
   * @returns undefined when there was nothing to do, or another replica does it
   * @throws LogFault when what is there must not be continued
   */
  async sequence(wait = false): Promise<Batch | undefined> {
    const { intervalMs } = this;
    this.intervalMs = INTERVAL_MS;
    const batch = await this.dataSource.transaction('READ COMMITTED', async (manager) => {
      const turn = await takeTurn(manager, wait, this.pending.exist);
      if (!turn) return undefined;
      const last = await this.log.latest(manager);
      const age = last ? this.clock.now().getTime() - last.createdAt.getTime() : INTERVAL_MS;
      if (!wait && age >= 0 && age < intervalMs * (1 - TOLERANCE)) return undefined;
      const taken = await this.pending.take(manager);
      if (taken.events.length === 0) return undefined;
      this.intervalMs = intervalFor(taken.events.length, age);
      return this.append(manager, last, taken, turn);
    });
    this.log.remember(batch?.checkpoint);
    if (batch && batch.altered.length > 0) {
      const { altered } = batch;
      this.failures.happened('event-altered', { count: altered.length, events: altered.slice(0, MAX_NAMED) });
    }
    return batch;
  }

  private async append(
    manager: EntityManager,
    last: AuditCheckpointEntity | undefined,
    { events, more }: TakenEvents,
    { xmin }: LogTurn,
  ): Promise<Batch> {
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
    const checkpoint = this.checkpoint(range, events.at(-1)!);
    const leaves = { firstIndex, eventIds: events.map(({ id }) => id), hashes: events.map((event) => event.leaf_hash) };
    await appendToLog(manager, leaves, nodes, checkpoint, more ? undefined : xmin).catch(refuseFork);
    const altered = events.filter(({ intact }) => !intact).map(({ id }) => id);
    return { checkpoint, altered, more };
  }

  private checkpoint(range: CompactRange, { id }: PendingEvent): AuditCheckpointEntity {
    const { origin, signers } = this.keys;
    const [size, root, createdAt] = [range.end, range.root(), this.clock.now()];
    const note = signCheckpoint({ origin, size, root, extensions: [] }, signers, createdAt);
    return { size, root, frontier: range.serialise(), lastId: id, note, createdAt };
  }
}

/** In which a portion comes together, when so many events did in `ms`. */
function intervalFor(events: number, ms: number): number {
  return Math.min(INTERVAL_MS, Math.max(MIN_INTERVAL_MS, (PORTION * ms) / events));
}

/** What is to come next is there already, and not by us. */
function refuseFork(error: unknown): never {
  const { code, detail = '' } = (error as { driverError?: { code?: string; detail?: string } }).driverError ?? {};
  throw code === UNIQUE_VIOLATION
    ? new LogFault('log-altered', `the log has what it should not have yet: ${detail}`)
    : error;
}
