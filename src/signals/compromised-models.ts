import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { MetadataFile } from '../authenticators/metadata-file.js';
import { decideStanding } from '../authenticators/status-reports.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { RepeatedWork } from '../config/repeated-work.js';
import { CompromisedModelsRepository } from './compromised-models.repository.js';

const INTERVAL_MS = 5_000;

/**
 * Tells receivers of the passkeys, but for revoked ones, of a model that FIDO metadata calls compromised (RISC 1.0 §2.7), each once: in the
 * background, in batches, and after a restart from where it was. A passkey of the model that is stored later is told of within
 * about two minutes. Every replica does this, and the database shares the work out.
 */
@Injectable()
export class CompromisedModels implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(CompromisedModels.name);
  private readonly work = new RepeatedWork(
    () => this.run(),
    (error) => {
      this.logger.warn({ message: 'receivers were not told of compromised models', error });
    },
  );
  private isEnding = false;
  /** What the database knows already. */
  private seen = '';

  constructor(
    private readonly metadata: MetadataFile,
    private readonly models: CompromisedModelsRepository,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.work.begin(INTERVAL_MS);
  }

  beforeApplicationShutdown(): Promise<void> {
    this.isEnding = true;
    return this.work.end();
  }

  async run(): Promise<void> {
    const now = this.clock.now();
    const metadata = this.metadata.current;
    if (!metadata) return;
    const compromised = new Map<string, string>();
    for (const [aaguid, { reports }] of metadata.models) {
      const standing = decideStanding(reports, now);
      if (standing.verdict === 'compromised') compromised.set(aaguid, standing.status);
    }
    const seen = JSON.stringify([metadata.no, ...compromised]);
    if (seen !== this.seen) await this.models.see(metadata.no, compromised);
    this.seen = seen;
    while (!this.isEnding && (await this.models.writeBatch(now)));
  }
}
