import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type BeforeApplicationShutdown,
} from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { ChallengeRepository } from './challenge.repository.js';

const INTERVAL_MS = 10_000;
const BATCH = 1_000;

/**
 * Deletes the expired challenges that replicas of the version before have stored in the table `challenge`, in small batches. Every
 * replica does this, and none waits for another. It goes with the table, in the next version
 * (docs/adr/0023-sealed-challenges.md).
 */
@Injectable()
export class ExpiredChallengePurger implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(ExpiredChallengePurger.name);
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly challenges: ChallengeRepository,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.running = this.running
        .then(async () => {
          await this.purge();
        })
        .catch((error: unknown) => {
          this.logger.warn({ message: 'expired challenges were not purged', error });
        });
    }, INTERVAL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** @returns the number of deleted challenges */
  async purge(): Promise<number> {
    let total = 0;
    for (;;) {
      const deleted = await this.challenges.deleteExpired(this.clock.now(), BATCH);
      total += deleted;
      if (deleted < BATCH) return total;
    }
  }
}
