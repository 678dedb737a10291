import { createHash } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
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
import { readBounded } from '../config/read-bounded.js';
import type { PushFiles as Paths } from '../config/signal-settings.js';
import { type FileListener, WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { parsePushReceivers, type PushReceiver } from './push-receivers.js';

const MAX_BYTES = 1_024 * 1_024;

/** To whom the service may push, and how both sides prove who they are. It is replaced as one value. */
export interface PushTrust {
  readonly digest: string;
  readonly receivers: readonly PushReceiver[];
  readonly secureContext: SecureContext;
}

/** The state that operators see. */
export interface PushFilesState {
  readonly receivers: number;
  readonly refused: string | undefined;
}

/** Holds the files of pushes. A mistake stops the boot, and later keeps the previous files in use. */
@Injectable()
export class PushFiles implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly paths: Paths | undefined;
  private readonly reloads: ReloadReporter;
  private files: WatchedFiles<PushTrust> | undefined;

  constructor(@Inject(CONFIG) config: Pick<Config, 'signals' | 'worker'>, metrics: Metrics, audit: AuditService) {
    this.paths = config.signals?.push;
    this.reloads = new ReloadReporter('signal-push.reload', audit, metrics, config);
  }

  /** @throws ConfigError if the files cannot be used */
  async onModuleInit(): Promise<void> {
    const { paths } = this;
    if (!paths) return;
    const all = [paths.receiversFile, paths.caFile, paths.client?.certFile, paths.client?.keyFile];
    const watched = [...new Set(all.filter((path) => path !== undefined))];
    try {
      this.files = await WatchedFiles.open(watched, (held) => read(paths, held));
    } catch (error) {
      throw new ConfigError([(error as Error).message]);
    }
  }

  onApplicationBootstrap(): void {
    this.files?.watch(this.reports);
  }

  async onModuleDestroy(): Promise<void> {
    await this.files?.close();
  }

  /** @returns undefined: the service pushes to nobody */
  get trust(): PushTrust | undefined {
    return this.files?.value;
  }

  /** @returns undefined: no file is configured */
  describeState(): PushFilesState | undefined {
    return this.files && { receivers: this.files.value.receivers.length, refused: this.files.refused };
  }

  /** Reloads the files if they have changed. Files with a mistake change nothing. Never throws. */
  async reload(): Promise<void> {
    await this.files?.checkFiles(this.reports);
  }

  private readonly reports: FileListener<PushTrust> = {
    onReloaded: (trust, previous, files) => {
      const [now, before] = [listHosts(trust), listHosts(previous)];
      const added = now.filter((host) => !before.includes(host));
      const removed = before.filter((host) => !now.includes(host));
      this.reloads.reportSuccess(files, { receivers: now.length, added, removed });
    },
    onRefused: (detail) => {
      this.reloads.reportFailure(detail);
    },
  };
}

function listHosts({ receivers }: PushTrust): string[] {
  return receivers.map(({ host, port }) => `${host}:${String(port)}`);
}

/** @throws Error whose message names the setting and what is wrong, and shows nothing of a file */
/** RFC 7525 §4.1 and §4.2: what the connection hides stays hidden if the receiver's key is stolen later. */
const CIPHERS =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL';

async function read({ receiversFile, caFile, client }: Paths, held: PushTrust | undefined): Promise<PushTrust> {
  const paths = [receiversFile, caFile, client?.certFile, client?.keyFile];
  const contents = await Promise.all(paths.map(async (path) => path && (await readBounded(path, MAX_BYTES))));
  const digest = createHash('sha256');
  for (const content of contents) digest.update(`${String(content?.length)}\n`).update(content ?? '');
  const [receivers, ca, cert, key] = contents;
  const hex = digest.digest('hex');
  if (hex === held?.digest) return held;
  return {
    digest: hex,
    receivers: attempt(`PASSKEY_SIGNAL_PUSH_RECEIVERS_FILE: "${receiversFile}"`, () =>
      parsePushReceivers(String(receivers)),
    ),
    secureContext: attempt('PASSKEY_SIGNAL_PUSH_CA_FILE, _CERT_FILE, _KEY_FILE: cannot be used:', () =>
      createSecureContext({
        minVersion: 'TLSv1.2',
        ciphers: CIPHERS,
        ...(ca && { ca }),
        ...(cert && key && { cert, key }),
      }),
    ),
  };
}

function attempt<Value>(what: string, make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    throw new Error(`${what} ${(error as Error).message}`, { cause: error });
  }
}
