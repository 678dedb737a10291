import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { LogFailures } from './log-failures.js';

/** Time between two records. */
const INTERVAL_MS = 60_000;
/** Maximum number of events that a record names. */
const MAX_NAMED = 100;

/**
 * Reports events that the service did not write. Whoever can insert one can insert a million, so there is at most one record
 * a minute, with their number and the ids of the first.
 */
@Injectable()
export class UnsealedEvents {
  private count = 0;
  private events: string[] = [];
  private reportedAt = -Infinity;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly failures: LogFailures,
  ) {}

  add(ids: readonly string[]): void {
    this.count += ids.length;
    this.events.push(...ids.slice(0, MAX_NAMED - this.events.length));
    this.reportIfDue();
  }

  /** Reports the events of the past minute, if it is over. */
  reportIfDue(): void {
    const age = this.clock.now().getTime() - this.reportedAt;
    if (age >= INTERVAL_MS || age < 0) this.report();
  }

  /** Reports the events that are not reported yet. */
  report(): void {
    const { count, events } = this;
    if (count === 0) return;
    this.count = 0;
    this.events = [];
    this.reportedAt = this.clock.now().getTime();
    this.failures.reportIncident('event-unsealed', { count, events });
  }
}
