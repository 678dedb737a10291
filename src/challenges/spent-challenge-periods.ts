import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { isLockTimeout } from '../database/lock-timeout.js';
import { Metrics } from '../telemetry/metrics.js';

const LOOK_MS = 10_000;
const INTERVAL_MS = 600_000;
const ATTEMPTS = 10;
const PAUSE_MS = 200;
const PERIOD_MS = 21_600_000;

const MAKE = 'SELECT spent_challenge_make_periods($1::timestamptz)';
const DROP = 'SELECT spent_challenge_drop_periods($1::timestamptz) AS dropped';

/** $1 a period: returns the first one from there that has no partition, as far as periods are made ahead. */
const FIND_FIRST_MISSING = `SELECT coalesce(min(n), $1::integer + 17) AS missing
  FROM generate_series($1::integer, $1::integer + 16) AS n WHERE to_regclass('public.spent_challenge_' || n) IS NULL`;

/** Finds the time up to which challenges can be spent. */
export async function findPeriodsEnd(through: Pick<DataSource, 'query'>, now: Date): Promise<Date> {
  const present = Math.floor(now.getTime() / PERIOD_MS);
  const [{ missing }] = await through.query<[{ missing: number }]>(FIND_FIRST_MISSING, [present]);
  return new Date(missing * PERIOD_MS);
}

/**
 * Makes the next periods of `spent_challenge`, and drops the old ones: before the service accepts requests, and then
 * every ten minutes, or every ten seconds while the present period is missing. Every replica does this. A challenge of a
 * period that does not exist cannot be spent.
 *
 * The functions of the database have the rules (src/database/migrations/1764800000000-sealed-challenges.ts).
 */
@Injectable()
export class SpentChallengePeriods implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(SpentChallengePeriods.name);
  private latestEnd: Date | undefined;
  private tendedAt = -Infinity;
  private making: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @InjectDataSource() private readonly dataSource: Pick<DataSource, 'query'>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /** Challenges can be spent up to this time, as far as is known. undefined: nobody could look yet. */
  get end(): Date | undefined {
    return this.latestEnd;
  }

  /** @throws Error if no challenge could be spent now */
  async onApplicationBootstrap(): Promise<void> {
    await this.make();
    if (!this.hasPresent()) {
      throw new Error('No challenge can be spent: spent_challenge has no partition for the present time');
    }
    this.timer = setInterval(() => {
      this.running = this.running.then(() => this.tendIfDue());
    }, LOOK_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** Makes and drops periods if ten minutes have passed, or if the present period is missing. Never throws. */
  async tendIfDue(): Promise<void> {
    const now = this.clock.now().getTime();
    if (Math.abs(now - this.tendedAt) < INTERVAL_MS && this.hasPresent()) return;
    this.tendedAt = now;
    await this.make();
    await this.drop();
  }

  /**
   * Makes the present period and the next ones, if they are missing. Never throws: if a session holds the table, it tries
   * again a few times, and later ones follow. Concurrent calls share one run.
   */
  make(): Promise<void> {
    this.making ??= this.makeAndLook().finally(() => {
      this.making = undefined;
    });
    return this.making;
  }

  /**
   * Drops the periods that ended long ago, a few at a time. Never throws. A drop holds up all writers while it waits for
   * its lock, so it is not tried again before the next time.
   */
  async drop(): Promise<void> {
    try {
      for (let more = true; more;) {
        const [row] = await this.dataSource.query<[{ dropped: number }]>(DROP, [this.clock.now()]);
        more = row.dropped > 0;
      }
    } catch (error) {
      this.logger.warn({ message: 'old periods of spent challenges were not dropped', error });
    }
  }

  private hasPresent(): boolean {
    return this.latestEnd !== undefined && this.latestEnd > this.clock.now();
  }

  private async makeAndLook(): Promise<void> {
    const now = this.clock.now();
    try {
      await this.makeWhenFree(now);
    } catch (error) {
      this.logger.error({ message: 'the next periods of spent challenges were not made', error });
    }
    try {
      await this.look(now);
    } catch (error) {
      this.logger.warn({ message: 'the periods of spent challenges could not be read', error });
    }
  }

  private async makeWhenFree(now: Date): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.dataSource.query(MAKE, [now]);
        return;
      } catch (error) {
        if (!isLockTimeout(error) || attempt === ATTEMPTS) throw error;
        await sleep(PAUSE_MS);
      }
    }
  }

  private async look(now: Date): Promise<void> {
    this.latestEnd = await findPeriodsEnd(this.dataSource, now);
    this.metrics.spentChallengePeriodsEnd.set(this.latestEnd.getTime() / 1_000);
  }
}
