import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { SealRegister } from '../seals/seal-register.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';

/** The number of rows in the sample, and the number of those whose MAC does not match under the binding key. */
export interface BindingKeySample {
  readonly rows: number;
  readonly failed: number;
  /** A key that has sealed rows and that this process lacks. */
  readonly missingKey?: string | undefined;
}

const SAMPLE_ROWS = 64;
const INTERVAL_MS = 10_000;

/**
 * Checks with a sample that the binding key is the one that sealed the credential rows. The sample is the oldest rows,
 * because a service with a wrong key seals new rows, and these match it. A sample is taken at the start, and again
 * while most of its rows fail or after a row failed in use. So the service notices that its database was exchanged, and
 * does not go down because of a few rows that were changed by SQL.
 */
@Injectable()
export class BindingKeyCheck implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(BindingKeyCheck.name);
  private latest: BindingKeySample | undefined;
  private failuresSeen = 0;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    private readonly bindings: CredentialBindings,
    @Inject(SealRegister) private readonly register: Pick<SealRegister, 'missingKey'>,
  ) {}

  /** The newest sample; undefined: none could be taken yet. */
  get sample(): BindingKeySample | undefined {
    const { missingKey } = this.register;
    return this.latest && missingKey !== undefined ? { ...this.latest, missingKey } : this.latest;
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.takeSampleIfDue();
    this.timer = setInterval(() => {
      this.running = this.running.then(() => this.takeSampleIfDue());
    }, INTERVAL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** Takes a sample if there is a reason to. */
  async takeSampleIfDue(): Promise<void> {
    const { failures } = this.bindings;
    if (this.latest && hasMatchingKey(this.latest) && failures === this.failuresSeen) return;
    try {
      const rows = await this.credentials.find({ order: { id: 'ASC' }, take: SAMPLE_ROWS });
      const failed = rows.filter((row) => !this.bindings.isGenuine(row)).length;
      this.latest = { rows: rows.length, failed };
      this.failuresSeen = failures;
    } catch (error) {
      this.logger.warn({
        message: 'the binding key could not be checked against the credential rows',
        error,
      });
      return;
    }
    if (!hasMatchingKey(this.latest)) {
      this.logger.error({ message: 'the binding key does not fit the credential rows', ...this.latest });
    }
  }
}

/** True if no key is missing, and at least half of the rows in the sample match. */
export function hasMatchingKey({ rows, failed, missingKey }: BindingKeySample): boolean {
  return missingKey === undefined && 2 * failed <= rows;
}
