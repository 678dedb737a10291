import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { parseIdTime } from '../audit/audit-event.repository.js';
import { findLogLockHolders, type LockHolder } from './log-locks.repository.js';

/** After this time a pending event is late, and a log that makes no progress with events pending stands still. */
export const MAX_LAG_MS = 30_000;

/** Why the log stands still, as far as it is known. */
export interface StandstillCause {
  /** How the last turn of this process failed; undefined if it did not. */
  readonly error: string | undefined;
  /** Sessions that hold a lock that a turn needs. */
  readonly heldBy: readonly LockHolder[];
}

/** State of the log after a turn that did not fail. */
export interface TurnFindings {
  /** Number of leaves in the newest checkpoint. */
  readonly size: number;
  /** Id of the oldest pending event; undefined if none is pending. */
  readonly oldest: string | undefined;
}

/**
 * Measures how far the log is behind, and since when it makes no progress. A turn that fails has no findings, so the
 * lag grows.
 */
@Injectable()
export class StandstillDetector {
  cause: StandstillCause | undefined;
  /** False if events were pending after the last turn, and the log had not grown since the turn before. */
  moves = true;
  private size = 0;
  /** Events before this time are sequenced, in milliseconds. */
  private inOrderUntil: number;
  private movedAt: number;
  private lateTurns = 0;
  private stillTurns = 0;
  /** End of the last turn, by the monotonic clock. */
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

  /**
   * Answers `perhaps` after one late turn: an event that was written long after it happened may not have had a turn
   * yet.
   */
  get late(): 'yes' | 'no' | 'perhaps' {
    return this.lateTurns > 1 ? 'yes' : this.lateTurns === 0 ? 'no' : 'perhaps';
  }

  /**
   * undefined while the log makes progress or nothing is pending. A turn that does not end counts as a standstill, too.
   */
  get since(): Date | undefined {
    return this.stillTurns > 1 || performance.now() - this.turnAt > MAX_LAG_MS ? new Date(this.movedAt) : undefined;
  }

  /**
   * Takes note of the end of a turn.
   *
   * @param found undefined if the turn failed, with `error`
   */
  async noteTurn(found: TurnFindings | undefined, error?: Error): Promise<void> {
    const now = this.clock.now().getTime();
    if (found) {
      this.inOrderUntil = found.oldest === undefined ? now : Math.min(now, parseIdTime(found.oldest));
      this.moves = found.oldest === undefined || found.size !== this.size;
      if (this.moves) this.movedAt = now;
      this.size = found.size;
    }
    this.lateTurns = this.lagMs > MAX_LAG_MS ? this.lateTurns + 1 : 0;
    this.stillTurns = now - this.movedAt > MAX_LAG_MS ? this.stillTurns + 1 : 0;
    this.turnAt = performance.now();
    // A turn of another replica does not tell that the error is gone.
    const message = error?.message ?? (this.moves ? undefined : this.cause?.error);
    this.cause = message === undefined && this.stillTurns === 0 ? undefined : await this.findCause(message);
  }

  private async findCause(error: string | undefined): Promise<StandstillCause> {
    const heldBy = await findLogLockHolders(this.dataSource).catch(() => []);
    return { error, heldBy };
  }
}
