import type { Server } from 'node:https';
import { type OnModuleDestroy, Inject, Injectable, Logger } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CONFIG, type Config } from '../config/config.js';
import type { WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import type { TrustMaterial } from './trust-material.js';
import { TrustMaterialError } from './trust-material-error.js';

export const TRUST_FILES = Symbol('WatchedFiles<TrustMaterial>');

/**
 * Holds the current trust store. A reload is one step: new handshakes use the new certificate, authorities and
 * revocation lists, and the epoch increases. Each connection of an older epoch is then verified again before
 * its next request (continuous-verification.ts). Files that cannot be used change nothing.
 */
@Injectable()
export class ListenerTrust implements OnModuleDestroy {
  /** The epoch of the trust store: 1 at the start, one more after each reload. */
  epoch = 1;
  private readonly logger = new Logger(ListenerTrust.name);
  private readonly reloads: ReloadReporter;

  constructor(
    @Inject(TRUST_FILES) private readonly files: WatchedFiles<TrustMaterial>,
    audit: AuditService,
    private readonly metrics: Metrics,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.reloads = new ReloadReporter('trust.reload', audit, metrics, config);
    this.updateMetrics();
  }

  get material(): TrustMaterial {
    return this.files.value;
  }

  /** The reason why the newest files are not used. */
  get refused(): string | undefined {
    return this.files.refused;
  }

  /** Gives the server new trust material at each reload. */
  attachTo(server: Server): void {
    const { shortLivedHours } = this.material;
    if (shortLivedHours !== undefined) {
      const message = 'authorities need no revocation lists, because callers’ certificates must be short-lived';
      this.logger.warn({ message, maxHours: shortLivedHours });
    }
    this.files.watch({
      onReloaded: (material, previous, files) => {
        replaceContext(server, material);
        this.epoch += 1;
        this.updateMetrics();
        const facts = { epoch: this.epoch, previous_digest: previous.digest, ...describeTrust(material) };
        this.reloads.reportSuccess(files, facts);
      },
      onRefused: (reason) => {
        this.reloads.reportFailure(reason, { epoch: this.epoch });
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.files.close();
  }

  private updateMetrics(): void {
    const { certificate, authorities, revocationLists } = this.material;
    const setEarliest = (file: string, ends: (Date | undefined)[]): void => {
      if (ends.length === 0) this.metrics.certificateExpiry.remove({ file });
      else this.metrics.certificateExpiry.set({ file }, Math.min(...ends.map((end) => end?.getTime() ?? 0)) / 1_000);
    };
    this.metrics.trustStoreEpoch.set(this.epoch);
    setEarliest('certificate', [certificate.validToDate]);
    setEarliest(
      'ca',
      authorities.map(({ validToDate }) => validToDate),
    );
    setEarliest(
      'crl',
      revocationLists.map(({ nextUpdate }) => nextUpdate),
    );
  }
}

/** @throws TrustMaterialError when OpenSSL refuses validated material, such as a list with a malformed entry */
function replaceContext(server: Server, { context }: TrustMaterial): void {
  try {
    server.setSecureContext(context);
  } catch (error) {
    throw TrustMaterialError.forAnySetting(error);
  }
}

/** Describes trust material for an auditor, without any key. */
export function describeTrust({
  digest,
  certificate,
  authorities,
  revocationLists,
  shortLivedHours,
}: TrustMaterial): Record<string, unknown> {
  return {
    digest,
    certificate: { fingerprint: formatFingerprint(certificate), not_after: certificate.validToDate.toISOString() },
    authorities: authorities.map(formatFingerprint),
    revocation_lists: revocationLists.map(({ number, thisUpdate, nextUpdate, size }) => ({
      number: number?.toString(),
      this_update: thisUpdate.toISOString(),
      next_update: nextUpdate?.toISOString(),
      revoked: size,
    })),
    short_lived_hours: shortLivedHours,
  };
}

/** Formats a SHA-256 fingerprint of node:crypto as lower-case hexadecimal. */
export function formatFingerprint({ fingerprint256 }: { fingerprint256: string }): string {
  return fingerprint256.replaceAll(':', '').toLowerCase();
}
