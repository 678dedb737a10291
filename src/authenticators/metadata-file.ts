import { createHash } from 'node:crypto';
import {
  type OnModuleDestroy,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { readBoundedWithDate } from '../config/read-bounded.js';
import { type FileListener, WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { MAX_BLOB_BYTES, verifyMetadataBlob } from './metadata-blob.js';
import { type AuthenticatorModel, type Metadata, MetadataError } from './metadata.js';

/** The roots in PEM. The signer of FIDO metadata must lead to one of them. */
export const METADATA_ROOTS = Symbol('MetadataRoots');

const DAY_MS = 86_400_000;
/** One line of the log names at most this many parts. */
const MAX_TOLD = 20;

interface Loaded extends Metadata {
  readonly digest: string;
  readonly writtenAt: Date;
}

/** The state that operators see. */
export interface MetadataState {
  readonly no: number;
  readonly nextUpdate: Date;
  /** Age of the file in use, by its modification time. */
  readonly ageSeconds: number;
  /** True after the day of nextUpdate. */
  readonly stale: boolean;
  /** The number of entries and status reports that could not be read. */
  readonly skipped: number;
  /** The reason why the present file is not the one in use; undefined: it is. */
  readonly refused: string | undefined;
}

/**
 * Holds the BLOB of PASSKEY_MDS_BLOB_FILE. A file that cannot be used stops the boot. Later it changes only the log and
 * the readiness detail, and the metadata in use stays. A new BLOB is taken whole, between two requests, and only if its
 * `no` is higher.
 */
@Injectable()
export class MetadataFile implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(MetadataFile.name);
  private readonly path: string | undefined;
  private readonly reloads: ReloadReporter;
  private files: WatchedFiles<Loaded> | undefined;

  constructor(
    @Inject(CONFIG) config: Pick<Config, 'metadataBlobFile' | 'worker'>,
    @Inject(METADATA_ROOTS) private readonly roots: readonly string[],
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
    audit: AuditService,
  ) {
    this.path = config.metadataBlobFile;
    this.reloads = new ReloadReporter('metadata.reload', audit, metrics, config);
  }

  /** @throws ConfigError if the file cannot be used */
  async onModuleInit(): Promise<void> {
    const { path } = this;
    if (path === undefined) return;
    try {
      this.files = await WatchedFiles.open<Loaded>([path], (held) => this.read(path, held));
    } catch (error) {
      throw new ConfigError([`PASSKEY_MDS_BLOB_FILE: ${error instanceof Error ? error.message : String(error)}`]);
    }
    this.updateMetrics(this.files.value);
  }

  onApplicationBootstrap(): void {
    if (this.files) this.logSkipped(this.files.value);
    this.files?.watch(this.reports);
  }

  async onModuleDestroy(): Promise<void> {
    await this.files?.close();
  }

  findModel(aaguid: string): AuthenticatorModel | undefined {
    return this.files?.value.models.get(aaguid);
  }

  /** The metadata in use; undefined if no file is configured. */
  get current(): Metadata | undefined {
    return this.files?.value;
  }

  /** @returns undefined if no file is configured */
  describeState(): MetadataState | undefined {
    if (!this.files) return undefined;
    const now = this.clock.now().getTime();
    const { no, nextUpdate, writtenAt, skipped } = this.files.value;
    const ageSeconds = Math.max(0, Math.floor((now - writtenAt.getTime()) / 1_000));
    const stale = now >= nextUpdate.getTime() + DAY_MS;
    return { no, nextUpdate, ageSeconds, stale, skipped: skipped.length, refused: this.files.refused };
  }

  /** Reloads the file if it has changed and can be trusted. Never throws. */
  async reload(): Promise<void> {
    await this.files?.checkFiles(this.reports);
  }

  private readonly reports: FileListener<Loaded> = {
    onReloaded: (loaded, previous, files) => {
      this.updateMetrics(loaded);
      const { no, digest, skipped } = loaded;
      this.logSkipped(loaded);
      this.reloads.reportSuccess(files, {
        serial: no,
        previous_serial: previous.no,
        next_update: loaded.nextUpdate.toISOString().slice(0, 10),
        models: loaded.models.size,
        digest,
        skipped: skipped.length,
      });
    },
    onRefused: (reason) => {
      this.reloads.reportFailure(reason);
    },
  };

  /** @throws MetadataError, or an error of the file system */
  private async read(path: string, held: Loaded | undefined): Promise<Loaded> {
    const { bytes, writtenAt } = await readBoundedWithDate(path, MAX_BLOB_BYTES);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest === held?.digest) return held;
    const metadata = verifyMetadataBlob(bytes, this.roots, this.clock.now());
    if (held && metadata.no <= held.no) {
      throw new MetadataError(`its no ${String(metadata.no)} is not higher than ${String(held.no)}, which is in use`);
    }
    return { ...metadata, digest, writtenAt };
  }

  private logSkipped({ no, skipped }: Loaded): void {
    if (skipped.length === 0) return;
    const detail = skipped.slice(0, MAX_TOLD);
    this.logger.warn({
      message: 'parts of the FIDO metadata cannot be read',
      serial: no,
      skipped: skipped.length,
      detail,
    });
  }

  private updateMetrics({ no, nextUpdate }: Loaded): void {
    this.metrics.metadataNextUpdate.set(nextUpdate.getTime() / 1_000);
    this.metrics.metadataInfo.reset();
    this.metrics.metadataInfo.set({ serial: no }, 1);
  }
}
