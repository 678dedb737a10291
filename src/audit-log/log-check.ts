import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { LogFailures } from './log-failures.js';
import { CHECK_PORTION } from './log-check.repository.js';
import { UnsealedEvents } from './unsealed-events.js';

/** Time between steps. A step compares up to 1,000 events with their leaves, so one per millisecond at most. */
const INTERVAL_MS = 1_000;
/** Time between two passes through the whole log. */
const PAUSE_MS = 86_400_000;
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** Maximum number of altered events that a record names. */
const MAX_NAMED = 100;

/**
 * Compares the events in the database with the log, in every replica: step by step from the newest to the oldest, at
 * the start of the process and then once a day. Each event must be sequenced or pending. An event that is neither is
 * reported: the service did not write it, or somebody removed it from the pending ones.
 */
@Injectable()
export class LogCheck {
  private next = LAST_ID;
  private dueAt = -Infinity;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly failures: LogFailures,
    private readonly unsealed: UnsealedEvents,
  ) {}

  /** Takes a step of the check, if one is due. */
  async run(): Promise<void> {
    const now = this.clock.now().getTime();
    if (now < this.dueAt && this.dueAt - now <= PAUSE_MS) return;
    await this.checkPortion(now);
  }

  private async checkPortion(now: number): Promise<void> {
    const { last, altered, placeless } = (await CHECK_PORTION.run(this.dataSource, [this.next]))[0]!;
    if (altered.length > 0) {
      this.failures.reportIncident('event-altered', { count: altered.length, events: altered.slice(0, MAX_NAMED) });
    }
    this.unsealed.add(placeless);
    this.next = last ?? LAST_ID;
    this.dueAt = now + (last === null ? PAUSE_MS : INTERVAL_MS);
  }
}
