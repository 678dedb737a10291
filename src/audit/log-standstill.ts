import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { timeOfId } from './event-id.js';
import { holdersOfLog, type LockHolder } from './lock-holders.js';

/** After this time a log that has something to do and does nothing stands still, and an event without its place is late. */
export const MAX_LAG_MS = 30_000;

/** Why the log stands still, as far as it is known. */
export interface StandstillCause {
  /** How the last turn failed; undefined: it did not, or another replica has the turn. */
  readonly error: string | undefined;
  /** The sessions that hold a lock that a turn needs. */
  readonly heldBy: readonly LockHolder[];
}

/** The findings of a turn that did not fail. */
export interface Found {
  /** Leaves of the newest checkpoint. */
  readonly size: number;
  /** The oldest event that waits; undefined: none does. */
  readonly oldest: string | undefined;
}

/**
 * Knows how long the log is behind, and since when it does not move. A turn that fails finds nothing, so the lag grows.
 */
@Injectable()
export class LogStandstill {
  cause: StandstillCause | undefined;
  private size = 0;
  /** Events from before this time have their places. */
  private inOrderUntil: number;
  private movedAt: number;
  private lateTurns = 0;
  private stillTurns = 0;
  /** The end of the last turn, by a clock that nobody sets. */
  private turnAt = performance.now();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.inOrderUntil = this.movedAt = clock.now().getTime();
  }

  get lagMs(): number {
    return Math.max(0, this.clock.now().getTime() - this.inOrderUntil);
  }

  /** An event that was written long after it happened may have had no turn yet: it takes two. */
  get late(): 'yes' | 'no' | 'perhaps' {
    return this.lateTurns > 1 ? 'yes' : this.lateTurns === 0 ? 'no' : 'perhaps';
  }

  /** undefined: it moves, or nothing waits. A turn that does not end is seen, too. */
  get since(): Date | undefined {
    return this.stillTurns > 1 || performance.now() - this.turnAt > MAX_LAG_MS ? new Date(this.movedAt) : undefined;
  }

  /** @param found undefined: the turn failed, by this error */
  async turned(found: Found | undefined, error?: Error): Promise<void> {
    const now = this.clock.now().getTime();
    if (found) {
      this.inOrderUntil = found.oldest === undefined ? now : Math.min(now, timeOfId(found.oldest));
      if (found.oldest === undefined || found.size !== this.size) this.movedAt = now;
      this.size = found.size;
    }
    this.lateTurns = this.lagMs > MAX_LAG_MS ? this.lateTurns + 1 : 0;
    this.stillTurns = now - this.movedAt > MAX_LAG_MS ? this.stillTurns + 1 : 0;
    this.turnAt = performance.now();
    this.cause = error === undefined && this.stillTurns === 0 ? undefined : await this.find(error);
  }

  private async find(error: Error | undefined): Promise<StandstillCause> {
    const heldBy = await holdersOfLog(this.dataSource).catch(() => []);
    return { error: error?.message, heldBy };
  }
}
