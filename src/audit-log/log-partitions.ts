import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { findPartitionLockHolders } from './log-locks.repository.js';
import { LogFailures } from './log-failures.js';
import { isLockTimeout } from '../database/lock-timeout.js';
import type { Queryable } from '../database/named-statement.js';

const LOOK_MS = 10_000;
const RETRY_MS = 300_000;
const DAY_MS = 86_400_000;

/**
 * Makes the partitions of the next months, once a day and independently of everything else. It waits at most 50 ms for
 * a lock, so that no other session waits longer behind it. Events of a month without a partition go into the default
 * partition, are not lost, and move to their own partition as soon as no session holds the table.
 */
@Injectable()
export class LogPartitions {
  private dueAt = -Infinity;
  private making: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly failures: LogFailures,
  ) {}

  start(): void {
    this.running = this.make().finally(() => {
      if (this.stopped) return;
      this.timer = setTimeout(() => {
        this.start();
      }, LOOK_MS).unref();
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  /**
   * Makes the partitions that are due. Never throws: a partition that cannot be made is a failure of its own and is
   * tried again.
   */
  make(): Promise<void> {
    this.making ??= this.makeDue().finally(() => {
      this.making = undefined;
    });
    return this.making;
  }

  private async makeDue(): Promise<void> {
    const now = this.clock.now();
    if (now.getTime() < this.dueAt && this.dueAt - now.getTime() <= DAY_MS) return;
    const refused = { ...(await this.emptyDefault(now)), ...(await makeMonths(this.dataSource, now)).refused };
    const failed = Object.keys(refused).length > 0;
    this.dueAt = now.getTime() + (failed ? RETRY_MS : DAY_MS);
    if (!failed) this.failures.reportRecovery('partitions');
    else this.failures.reportFailure('partitions', { refused, heldBy: await this.findHolders() });
  }

  /**
   * Moves the events of the default partition to their months, in steps. After each step, other sessions get as much
   * time as the step took.
   */
  private async emptyDefault(now: Date): Promise<Record<string, string>> {
    const until = formatFirstOfMonth(now, MONTHS_AHEAD);
    try {
      for (let more = true; more && !this.stopped;) {
        const began = performance.now();
        const sql = 'SELECT audit_empty_default($1::date) AS more';
        const [row] = await this.dataSource.query<{ more: boolean }[]>(sql, [until]);
        more = row?.more === true;
        if (more) await sleep(performance.now() - began);
      }
      return {};
    } catch (error) {
      return { default: String(error) };
    }
  }

  private async findHolders(): Promise<unknown> {
    return findPartitionLockHolders(this.dataSource).catch((error: unknown) => String(error));
  }
}

/** Number of months that are made beyond the current one. */
const MONTHS_AHEAD = 3;

interface RefusedMonths {
  /** Why partitions were not made, by month (`2026-12`). */
  readonly refused: Readonly<Record<string, string>>;
  /** True if another session holds the table, so that no partition can be made for now. */
  readonly busy: boolean;
}

/** Makes the partitions of the current month and the next ones. */
export async function makeMonths(through: Queryable, now: Date): Promise<RefusedMonths> {
  const refused: Record<string, string> = {};
  for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) {
    const month = formatFirstOfMonth(now, ahead);
    try {
      await through.query('SELECT audit_make_partitions($1::date, 1)', [month]);
    } catch (error) {
      refused[month.slice(0, 7)] = String(error);
      // Each further wait would hold up every other session.
      if (isLockTimeout(error)) return { refused, busy: true };
    }
  }
  return { refused, busy: false };
}

/** Returns the first day of a month, such as `2026-12-01`. */
function formatFirstOfMonth(now: Date, ahead: number): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)).toISOString().slice(0, 10);
}
