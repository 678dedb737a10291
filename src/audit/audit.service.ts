import { type BeforeApplicationShutdown, Inject, Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import type { Queryable } from '../database/named-statement.js';
import type { RequestContext } from '../http/request-context.js';
import { Seals } from '../seals/seals.js';
import { Metrics } from '../telemetry/metrics.js';
import { addSpanEvent, inSpan } from '../telemetry/spans.js';
import type { AuditEntry } from './audit-entry.js';
import { type AuditRow, createAuditRow, INSERT_EVENT, withMac } from './audit-event.repository.js';
import { describeEvent } from './event-macs.js';
import { deriveStandIn, findPseudonym } from './pseudonyms.js';

const UNIQUE_VIOLATION = '23505';
const RETRY_MS = 1_000;
/** Maximum number of events in memory that wait for the database to come back. */
const MAX_WAITING = 10_000;

/**
 * Records events. A change passes its transaction's manager, so that no change commits without its record. A refusal
 * has no change to share a transaction with, so its record commits before the answer. If the record cannot be written,
 * the call fails, and so does the request.
 */
@Injectable()
export class AuditService implements BeforeApplicationShutdown {
  private readonly logger = new Logger(AuditService.name);
  private readonly waiting: AuditRow[] = [];
  private writing: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly seals: Seals,
  ) {}

  /**
   * Makes the row of an event, for a statement that writes the event together with its change.
   *
   * @param uid the user's pseudonym (findPseudonym); null for a stranger, whom a stand-in represents
   */
  createRow(
    context: RequestContext | null,
    entry: AuditEntry,
    uid: string | null = null,
    time: Date = this.clock.now(),
  ): AuditRow {
    const { rpId, userId } = entry;
    const named = userId === undefined ? undefined : (uid ?? deriveStandIn({ rpId, userId }, time, this.keys));
    return this.seal(createAuditRow(entry, context, time, named));
  }

  /**
   * Finds the pseudonym of an entry's user. Nothing locks the user: if the user is erased before the event is written, the
   * event has a pseudonym that nobody can resolve any more.
   *
   * @returns null: the entry has no user, or a stranger, or one whose row was changed by something other than this service
   */
  async findPseudonym({ rpId, userId }: AuditEntry, through: Queryable = this.dataSource): Promise<string | null> {
    return userId === undefined ? null : findPseudonym(through, { rpId, userId }, this.seals);
  }

  /** @returns the event's id */
  async record(
    context: RequestContext | null,
    entry: AuditEntry,
    through: Queryable = this.dataSource,
    time?: Date,
  ): Promise<string> {
    return inSpan('record an event', { 'passkey.event': entry.type }, async () => {
      const row = this.createRow(context, entry, await this.findPseudonym(entry, through), time);
      await INSERT_EVENT.run(through, row.values);
      this.countEvent(row);
      return row.id;
    });
  }

  /**
   * Records an event that happened even if it cannot be recorded now, such as the reload of a revocation list. The
   * event keeps its time and is written as soon as the database accepts it.
   */
  recordEventually(entry: Omit<AuditEntry, 'userId'>): void {
    if (this.waiting.length < MAX_WAITING) this.waiting.push(this.createRow(null, entry));
    else this.logger.error({ message: 'an event is lost: too many events wait to be recorded', entry });
    this.writing ??= this.writeWaiting();
  }

  /** Tries once more to write the waiting events. */
  async beforeApplicationShutdown(): Promise<void> {
    clearTimeout(this.timer);
    await (this.writing ?? this.writeWaiting());
    clearTimeout(this.timer);
    if (this.waiting.length > 0) this.logger.error({ message: 'events are lost', events: this.waiting.map(getEntry) });
  }

  private async writeWaiting(): Promise<void> {
    // A failure must not end it before `writing` has it.
    await Promise.resolve();
    try {
      for (let row = this.waiting[0]; row; row = this.waiting[0]) {
        // The key that sealed it when it happened may be retired by now.
        await INSERT_EVENT.run(this.dataSource, this.seal(row).values).catch(ignoreDuplicate);
        this.waiting.shift();
        this.countEvent(row);
      }
    } catch (error) {
      this.logger.warn({
        message: 'events wait to be recorded',
        waiting: this.waiting.length,
        error,
      });
      this.timer = setTimeout(() => {
        this.writing ??= this.writeWaiting();
      }, RETRY_MS).unref();
    } finally {
      this.writing = undefined;
    }
  }

  private seal(row: AuditRow): AuditRow {
    return withMac(row, (id, leafHash) => this.seals.seal(describeEvent(id, leafHash)));
  }

  /** Counts an event in the metrics, and notes it in the trace. Call it after a statement has written a row of `row`. */
  countEvent({ entry: { type, outcome, reason = '' } }: AuditRow): void {
    this.metrics.events.inc({ type, outcome, reason });
    addSpanEvent('event recorded', { 'passkey.event': type, 'passkey.event.outcome': outcome });
  }
}

/**
 * Ignores that the event's id exists: an earlier try has committed, and its answer was lost. @throws any other error
 */
function ignoreDuplicate(error: unknown): void {
  if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
}

function getEntry({ entry }: AuditRow): AuditEntry {
  return entry;
}
