import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config, isFirstWorker } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { CeremonyCountsRepository, type CountTurn, HOUR_MS } from './ceremony-counts.repository.js';
import { CredentialCountsRepository } from './credential-counts.repository.js';

type Counts = 'ceremonies' | 'passkeys';

const INTERVAL_MS = 1_000;
/** The most statements that count leaves at a time. */
const MOST_STATEMENTS = 5;
/** A log that is far ahead is counted with rests of this many times as long as a turn took. */
const REST = 4;

/**
 * Counts for the statistics in the background, once a second at most. Replicas take turns by the rows that say how far
 * the counts are, so it does not matter which of them counts, or which one dies.
 */
@Injectable()
export class StatisticsCounter implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(StatisticsCounter.name);
  private readonly isActive: boolean;
  private readonly failing = new Set<Counts>();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;
  private purgedHour = 0;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly ceremonies: CeremonyCountsRepository,
    private readonly credentials: CredentialCountsRepository,
    private readonly metrics: Metrics,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.isActive = isFirstWorker(config);
  }

  onApplicationBootstrap(): void {
    if (!this.isActive) return;
    // So that counts that never succeed grow old, too.
    for (const counts of ['ceremonies', 'passkeys'] as const) this.noteCurrent(counts);
    this.scheduleTick(INTERVAL_MS);
  }

  /** Waits for a count that is under way. */
  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private scheduleTick(ms: number): void {
    this.timer = setTimeout(() => {
      const began = performance.now();
      this.running = this.tick().finally(() => {
        if (!this.stopped) this.scheduleTick(Math.max(INTERVAL_MS, REST * (performance.now() - began)));
      });
    }, ms).unref();
  }

  /** Counts what is due. Never throws. */
  async tick(): Promise<void> {
    const now = this.clock.now();
    await this.attempt('ceremonies', () => this.countCeremonies(now));
    await this.attempt('passkeys', async () => {
      if (await this.credentials.isDue(now)) await this.credentials.walk(now);
      this.noteCurrent('passkeys');
    });
  }

  private async countCeremonies(now: Date): Promise<void> {
    const hour = Math.floor(now.getTime() / HOUR_MS);
    if (hour !== this.purgedHour) await this.ceremonies.purge(now);
    this.purgedHour = hour;
    let turn: CountTurn = (await this.ceremonies.readLog()).isBehind ? 'more' : 'all';
    for (let statement = 0; turn === 'more' && statement < MOST_STATEMENTS && !this.stopped; statement += 1)
      turn = await this.ceremonies.count(now);
    if (turn === 'all') this.noteCurrent('ceremonies');
  }

  private noteCurrent(counts: Counts): void {
    this.metrics.statistics.current.set({ counts }, this.clock.now().getTime() / 1_000);
  }

  private async attempt(counted: Counts, count: () => Promise<void>): Promise<void> {
    try {
      await count();
      this.failing.delete(counted);
    } catch (error) {
      if (!this.failing.has(counted)) this.logger.warn({ message: `${counted} could not be counted`, error });
      this.failing.add(counted);
    }
  }
}
