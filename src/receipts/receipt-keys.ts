import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { type PublishedKeys, publishKeys } from '../signing-keys/publish-keys.js';
import { type AllowedKeys, readSigningKeys, type SigningKey } from '../signing-keys/read-signing-keys.js';
import { SigningKeyFile, type SigningKeysState } from '../signing-keys/signing-key-file.js';

const RECEIPT_KEY_KINDS: AllowedKeys = {
  algorithms: ['ES256', 'Ed25519'],
  otherwise: 'neither on P-256 nor Ed25519',
};

/** Holds the keys of PASSKEY_RECEIPT_KEY_FILE: the first one signs receipts, and all are published. */
@Injectable()
export class ReceiptKeys implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly reloads: ReloadReporter;
  private file: SigningKeyFile | undefined;

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
    const { config, reloads } = this;
    if (config.receiptKeyFile === undefined) return;
    this.file = await SigningKeyFile.open({
      setting: 'PASSKEY_RECEIPT_KEY_FILE',
      path: config.receiptKeyFile,
      config,
      read: (text) => readSigningKeys(text, RECEIPT_KEY_KINDS),
      reloads,
    });
  }

  onApplicationBootstrap(): void {
    this.file?.watch();
  }

  async onModuleDestroy(): Promise<void> {
    await this.file?.close();
  }

  /** The key that signs; undefined: no file is configured. */
  get signer(): SigningKey | undefined {
    return this.file?.keys[0];
  }

  get published(): PublishedKeys {
    return publishKeys(this.file?.keys ?? []);
  }

  /** @returns undefined: no file is configured */
  describeState(): SigningKeysState | undefined {
    return this.file?.describeState();
  }

  /** Reloads the file if it has changed. A file with a mistake changes nothing. Never throws. */
  async reload(): Promise<void> {
    await this.file?.reload();
  }
}
