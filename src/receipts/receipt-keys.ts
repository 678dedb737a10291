import { hash } from 'node:crypto';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { isDevelopmentKey } from '../config/development.js';
import { readBounded } from '../config/read-bounded.js';
import { type FileListener, WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { readReceiptKeys, type ReceiptKey, type ReceiptKeySet } from './read-receipt-keys.js';

const MAX_BYTES = 64 * 1_024;

interface LoadedKeys {
  readonly digest: string;
  readonly keys: ReceiptKeySet;
  readonly published: PublishedKeys;
}

/** The public keys as a JWK set (RFC 7517 §5), with its entity tag (RFC 9110 §8.8.3). */
export interface PublishedKeys {
  readonly body: string;
  readonly etag: string;
}

/** The state that operators see. */
export interface ReceiptKeysState {
  /** The `kid` of the key that signs. */
  readonly signs: string;
  /** The `kid` of every other key that is published. */
  readonly published: readonly string[];
  readonly refused: string | undefined;
}

/**
 * Holds the keys of PASSKEY_RECEIPT_KEY_FILE: the first one signs receipts, and all are published. A new file is taken whole,
 * between two receipts. One bad key stops the boot, and later keeps the previous keys in use.
 */
@Injectable()
export class ReceiptKeys implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly reloads: ReloadReporter;
  private files: WatchedFiles<LoadedKeys> | undefined;

  constructor(
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'receiptKeyFile' | 'production' | 'allowDevelopment' | 'worker'>,
    metrics: Metrics,
    audit: AuditService,
  ) {
    this.reloads = new ReloadReporter('receipt-keys.reload', audit, metrics, config);
  }

  /** @throws ConfigError if the file holds anything but keys that can sign */
  async onModuleInit(): Promise<void> {
    const { receiptKeyFile: path } = this.config;
    if (path === undefined) return;
    try {
      this.files = await WatchedFiles.open<LoadedKeys>([path], (held) => this.read(path, held));
    } catch (error) {
      throw new ConfigError([`PASSKEY_RECEIPT_KEY_FILE: "${path}" ${(error as Error).message}`]);
    }
  }

  onApplicationBootstrap(): void {
    this.files?.watch(this.reports);
  }

  async onModuleDestroy(): Promise<void> {
    await this.files?.close();
  }

  /** The key that signs; undefined: no file is configured. */
  get signer(): ReceiptKey | undefined {
    return this.files?.value.keys[0];
  }

  get published(): PublishedKeys {
    return this.files?.value.published ?? NO_KEYS;
  }

  /** @returns undefined: no file is configured */
  describeState(): ReceiptKeysState | undefined {
    if (!this.files) return undefined;
    const [signs, ...published] = listIds(this.files.value) as [string, ...string[]];
    return { signs, published, refused: this.files.refused };
  }

  /** Reloads the file if it has changed. A file with a mistake changes nothing. Never throws. */
  async reload(): Promise<void> {
    await this.files?.checkFiles(this.reports);
  }

  private readonly reports: FileListener<LoadedKeys> = {
    onReloaded: (loaded, previous, files) => {
      const [now, before] = [listIds(loaded), listIds(previous)];
      const added = now.filter((id) => !before.includes(id));
      const removed = before.filter((id) => !now.includes(id));
      this.reloads.reportSuccess(files, { signs: now[0], formerly_signed: before[0], added, removed });
    },
    onRefused: (detail) => {
      this.reloads.reportFailure(detail);
    },
  };

  /** @throws Error whose message says what is wrong with the file */
  private async read(path: string, held: LoadedKeys | undefined): Promise<LoadedKeys> {
    const text = (await readBounded(path, MAX_BYTES)).toString('latin1');
    const digest = hash('sha256', text);
    if (digest === held?.digest) return held;
    const { production, allowDevelopment } = this.config;
    if (production && !allowDevelopment && isDevelopmentKey(text))
      throw new Error('holds a key that development generated');
    const keys = await readReceiptKeys(text);
    return { digest, keys, published: publish(keys.map(({ jwk }) => jwk)) };
  }
}

function publish(keys: readonly object[]): PublishedKeys {
  const body = JSON.stringify({ keys });
  return { body, etag: `"${hash('sha256', body, 'base64url')}"` };
}

const NO_KEYS = publish([]);

function listIds({ keys }: LoadedKeys): string[] {
  return keys.map(({ kid }) => kid);
}
