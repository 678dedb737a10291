import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config, isFirstWorker } from '../config/config.js';
import { isDatabaseAway } from '../http/database-unavailable.js';
import { PushSender } from '../push/push-sender.js';
import { Metrics } from '../telemetry/metrics.js';
import { PushRepository } from './push.repository.js';
import { SignalKeys } from './signal-keys.js';
import { StreamPusher } from './push-stream.js';

/** The state that operators see. */
export interface PushState {
  /** Enabled streams whose last push failed. */
  readonly failing: number;
}

/**
 * Looks twice a second for streams that have something to push, in the first worker of each replica, and pushes each of them in its
 * own time: a slow receiver holds up no other.
 */
@Injectable()
export class PushScheduler implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(PushScheduler.name);
  private readonly running = new Set<Promise<void>>();
  private readonly end = new AbortController();
  private readonly hardEnd = new AbortController();
  private readonly isFirst: boolean;
  private timer: NodeJS.Timeout | undefined;
  private turn: Promise<void> = Promise.resolve();
  private failing = 0;

  constructor(
    private readonly streams: PushRepository,
    private readonly pusher: StreamPusher,
    private readonly sender: PushSender,
    private readonly keys: SignalKeys,
    private readonly metrics: Metrics,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.isFirst = isFirstWorker(config);
  }

  onApplicationBootstrap(): void {
    if (this.isFirst && this.sender.isConfigured && this.keys.isConfigured) this.scheduleTurn();
  }

  /** Lets the running pushes end, for a moment. */
  async onModuleDestroy(): Promise<void> {
    clearTimeout(this.timer);
    this.end.abort();
    const timer = setTimeout(() => {
      this.hardEnd.abort();
    }, this.pusher.timing.lastMs);
    await this.turn;
    await Promise.all(this.running);
    clearTimeout(timer);
    this.sender.close();
  }

  /** @returns undefined: this process pushes nothing */
  getState(): PushState | undefined {
    return this.timer && { failing: this.failing };
  }

  private scheduleTurn(): void {
    this.timer = setTimeout(() => {
      this.turn = this.takeTurn().finally(() => {
        if (!this.end.signal.aborted) this.scheduleTurn();
      });
    }, this.pusher.timing.turnMs).unref();
  }

  /** Never throws. */
  private async takeTurn(): Promise<void> {
    try {
      // A holder of its own for each turn: a turn that is late is no longer mistaken for the next one.
      const holder = randomUUID();
      const end = { soon: this.end.signal, now: this.hardEnd.signal };
      for (const stream of await this.streams.takeStreams(holder, this.pusher.timing.leaseMs)) {
        const pushing = this.pusher.push(stream, holder, end).catch((error: unknown) => {
          this.report(error);
        });
        this.running.add(pushing);
        void pushing.finally(() => this.running.delete(pushing));
      }
      this.failing = await this.streams.countFailing();
      this.metrics.pushes.failingStreams.set(this.failing);
    } catch (error) {
      this.report(error);
    }
  }

  private report(error: unknown): void {
    if (!isDatabaseAway(error)) this.logger.error({ message: 'signals cannot be pushed', error });
  }
}
