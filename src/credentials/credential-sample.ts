import { type BeforeApplicationShutdown, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';

/** The number of rows in a sample, and the number of those that are not as the service wrote them. */
export interface SampledRows {
  readonly rows: number;
  readonly failed: number;
}

const SAMPLE_ROWS = 64;
const INTERVAL_MS = 10_000;

/**
 * Shows operators early that rows were changed by SQL or came from another database: it verifies the oldest ones at the start,
 * and again while some fail or after a row failed in use. A sample cannot tell a wrong binding key from changed rows, and
 * somebody may have changed all of the few that there are. So readiness goes by the check values of the keys
 * (src/seals/seal-register.ts), and only mentions the sample.
 */
@Injectable()
export class CredentialSample implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** The newest sample; undefined: none could be taken yet. */
  latest: SampledRows | undefined;
  private readonly logger = new Logger(CredentialSample.name);
  private failuresSeen = 0;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    private readonly bindings: CredentialBindings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.takeIfDue();
    this.timer = setInterval(() => {
      this.running = this.running.then(() => this.takeIfDue());
    }, INTERVAL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** Takes a sample if there is a reason to. Never throws. */
  async takeIfDue(): Promise<void> {
    const { failures } = this.bindings;
    if (this.latest?.failed === 0 && failures === this.failuresSeen) return;
    try {
      const rows = await this.credentials.find({ order: { id: 'ASC' }, take: SAMPLE_ROWS });
      const failed = rows.filter((row) => !this.bindings.isGenuine(row)).length;
      if (failed > 0 && failed !== this.latest?.failed) {
        this.logger.error({ message: 'credential rows are not as the service wrote them', rows: rows.length, failed });
      }
      this.latest = { rows: rows.length, failed };
      this.failuresSeen = failures;
    } catch (error) {
      this.logger.warn({ message: 'the oldest credential rows could not be verified', error });
    }
  }
}
