import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { MAX_BLOB_BYTES, verifyMetadataBlob } from './metadata-blob.js';
import { MetadataError } from './metadata-error.js';
import { METADATA_ROOTS } from './metadata-roots.js';
import type { AuthenticatorModel, Metadata } from './metadata.js';

/** One stat(2) each: it sees a file written in place, a rename over it and a symbolic link turned, on any file system. */
const INTERVAL_MS = 2_000;
const DAY_MS = 86_400_000;

interface Loaded extends Metadata {
  readonly digest: string;
  readonly writtenAt: Date;
}

/** For operators. */
export interface MetadataState {
  readonly no: number;
  readonly nextUpdate: Date;
  /** Since the file that is used was written. */
  readonly ageSeconds: number;
  /** Past the day of nextUpdate. */
  readonly stale: boolean;
  /** Why the file that lies there now is not the one that is used. */
  readonly refused: string | undefined;
}

/**
 * The BLOB in the file that PASSKEY_MDS_BLOB_FILE names. A file that cannot be used stops the boot; later it changes
 * nothing but the log and the readiness detail, and the metadata in use stays. A new BLOB is taken whole, between two
 * requests, and only one with a higher `no`.
 */
@Injectable()
export class MetadataFile implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(MetadataFile.name);
  private readonly path: string | undefined;
  private loaded: Loaded | undefined;
  private seen: string | undefined;
  private refused: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(CONFIG) { metadataBlobFile }: Pick<Config, 'metadataBlobFile'>,
    @Inject(METADATA_ROOTS) private readonly roots: readonly string[],
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {
    this.path = metadataBlobFile;
  }

  /** @throws ConfigError when the file cannot be used */
  async onModuleInit(): Promise<void> {
    await this.refresh();
    if (this.refused !== undefined) throw new ConfigError([`PASSKEY_MDS_BLOB_FILE: ${this.refused}`]);
  }

  onApplicationBootstrap(): void {
    if (this.path === undefined) return;
    this.timer = setInterval(() => {
      this.running = this.running.then(() => this.refresh());
    }, INTERVAL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  modelOf(aaguid: string): AuthenticatorModel | undefined {
    return this.loaded?.models.get(aaguid);
  }

  /** undefined: none is configured */
  state(): MetadataState | undefined {
    if (!this.loaded) return undefined;
    const now = this.clock.now().getTime();
    const { no, nextUpdate, writtenAt } = this.loaded;
    const ageSeconds = Math.max(0, Math.floor((now - writtenAt.getTime()) / 1_000));
    return { no, nextUpdate, ageSeconds, stale: now >= nextUpdate.getTime() + DAY_MS, refused: this.refused };
  }

  /** Looks whether the file is another one than last time, and takes it if it is to be trusted. Never throws. */
  async refresh(): Promise<void> {
    if (this.path === undefined) return;
    const seen = await fingerprintOf(this.path);
    if (seen === this.seen) return;
    this.seen = seen;
    try {
      await this.take(this.path);
      this.refused = undefined;
    } catch (error) {
      this.refused = error instanceof Error ? error.message : String(error);
      this.logger.error({ message: 'the FIDO metadata file is not used', file: this.path, reason: this.refused });
    }
  }

  /** @throws MetadataError, or the file system's error */
  private async take(path: string): Promise<void> {
    const { bytes, writtenAt } = await read(path);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest === this.loaded?.digest) return;
    const metadata = verifyMetadataBlob(bytes, this.roots, this.clock.now());
    const { no, nextUpdate } = metadata;
    if (this.loaded && no <= this.loaded.no) {
      throw new MetadataError(`its no ${String(no)} is not higher than ${String(this.loaded.no)}, which is in use`);
    }
    this.loaded = { ...metadata, digest, writtenAt };
    this.metrics.metadataNextUpdate.reset();
    this.metrics.metadataNextUpdate.set({ no }, nextUpdate.getTime() / 1_000);
    this.logger.log({ message: 'FIDO metadata is in use', no, nextUpdate, models: metadata.models.size });
  }
}

async function fingerprintOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch (error) {
    return String(error);
  }
}

async function read(path: string): Promise<{ bytes: Buffer; writtenAt: Date }> {
  const file = await open(path);
  try {
    const { size, mtime } = await file.stat();
    if (size > MAX_BLOB_BYTES) throw new MetadataError(`the file has more than ${String(MAX_BLOB_BYTES)} bytes`);
    return { bytes: await file.readFile(), writtenAt: mtime };
  } finally {
    await file.close();
  }
}
