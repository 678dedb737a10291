import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Metrics } from '../telemetry/metrics.js';
import { SignalRepository } from './signal.repository.js';

/** How often the outbox is looked at while polls wait: one statement for all of them. Milliseconds. */
const INTERVAL_MS = 200;

interface WaitingPoll {
  readonly streamId: string;
  /** @param failure why nobody knows if there is something */
  readonly wake: (failure?: Error) => void;
}

/**
 * Lets polls wait for a signal. However many wait, one statement looks for them all: it works for changes by any replica, and
 * through a pooler, which LISTEN does not (docs/adr/0037-connections-to-the-database.md).
 */
@Injectable()
export class WaitingPolls implements OnModuleDestroy {
  private readonly polls = new Set<WaitingPoll>();
  private timer: NodeJS.Timeout | undefined;
  private ending = false;

  constructor(
    private readonly signals: SignalRepository,
    private readonly metrics: Metrics,
  ) {}

  /** True once the process stops. */
  get isEnding(): boolean {
    return this.ending;
  }

  /** Lets no poll wait any longer, so that the process can stop. */
  onModuleDestroy(): void {
    this.ending = true;
    clearTimeout(this.timer);
    for (const { wake } of [...this.polls]) wake();
  }

  /** Waits until the stream has something to deliver, for `patience` milliseconds, or until the caller has gone. */
  async wait(streamId: string, patience: number, gone: AbortSignal): Promise<void> {
    if (this.ending || patience <= 0 || gone.aborted) return;
    await new Promise<void>((resolve, reject) => {
      const wake = (failure?: Error): void => {
        if (!this.polls.delete(poll)) return;
        clearTimeout(timer);
        gone.removeEventListener('abort', leave);
        this.metrics.signals.pollsWaiting.set(this.polls.size);
        if (failure === undefined) resolve();
        else reject(failure);
      };
      const leave = (): void => {
        wake();
      };
      const timer = setTimeout(leave, patience);
      const poll: WaitingPoll = { streamId, wake };
      gone.addEventListener('abort', leave);
      this.polls.add(poll);
      this.metrics.signals.pollsWaiting.set(this.polls.size);
      this.lookSoon();
    });
  }

  private lookSoon(): void {
    if (this.timer !== undefined || this.ending || this.polls.size === 0) return;
    this.timer = setTimeout(() => {
      void this.look().finally(() => {
        this.timer = undefined;
        this.lookSoon();
      });
    }, INTERVAL_MS);
  }

  private async look(): Promise<void> {
    const polls = [...this.polls];
    try {
      const ready = new Set(await this.signals.findReady([...new Set(polls.map(({ streamId }) => streamId))]));
      for (const { streamId, wake } of polls) if (ready.has(streamId)) wake();
    } catch (error) {
      for (const { wake } of polls) wake(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
