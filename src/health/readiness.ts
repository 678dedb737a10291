import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { X509Crl } from '@peculiar/x509';
import { DataSource } from 'typeorm';
import type { MetadataState } from '../authenticators/metadata-file.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';

/** The FIDO metadata in use; undefined where none is configured. */
export type MetadataReading = () => MetadataState | undefined;
export const METADATA = Symbol('MetadataReading');

/** What must hold for the service to be of use. */
@Injectable()
export class Readiness {
  private readonly files: { readonly certificate: Date; readonly ca: Date; readonly crl: Date | undefined };

  constructor(
    @Inject(CONFIG) { tls }: Config,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(METADATA) private readonly readMetadata: MetadataReading,
    private readonly dataSource: DataSource,
    private readonly indicators: HealthIndicatorService,
    metrics: Metrics,
  ) {
    this.files = {
      certificate: new X509Certificate(readFileSync(tls.certFile)).validToDate,
      ca: new X509Certificate(readFileSync(tls.caFile)).validToDate,
      crl: new X509Crl(readFileSync(tls.crlFile, 'utf8')).nextUpdate,
    };
    for (const [file, end] of Object.entries(this.files)) {
      if (end) metrics.certificateExpiry.set({ file }, end.getTime() / 1_000);
    }
  }

  async database(): Promise<HealthIndicatorResult> {
    const check = this.indicators.check('database');
    try {
      await this.dataSource.query('SELECT 1');
      return check.up();
    } catch {
      return check.down('the database does not answer');
    }
  }

  async migrations(): Promise<HealthIndicatorResult> {
    const check = this.indicators.check('migrations');
    try {
      return (await this.dataSource.showMigrations()) ? check.down('migrations are pending') : check.up();
    } catch {
      return check.down('the schema cannot be read');
    }
  }

  /** Whether the audit log takes a record: tried for real, and rolled back. */
  async audit(): Promise<HealthIndicatorResult> {
    const check = this.indicators.check('audit');
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      await runner.query(
        `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
         VALUES (gen_random_uuid(), '{}', ''::bytea, 'readiness', 'success')`,
      );
      return check.up();
    } catch {
      return check.down('the audit log cannot be written');
    } finally {
      await runner.rollbackTransaction().catch(() => undefined);
      await runner.release().catch(() => undefined);
    }
  }

  certificate(): HealthIndicatorResult {
    return this.until('certificate', new Date(Math.min(this.files.certificate.getTime(), this.files.ca.getTime())));
  }

  /** An expired CRL refuses every caller, so a service that has one is not ready. */
  crl(): HealthIndicatorResult {
    return this.until('crl', this.files.crl);
  }

  /** Old metadata is better than no service: it is told here, and nothing else. */
  metadata(): HealthIndicatorResult {
    const check = this.indicators.check('metadata');
    const state = this.readMetadata();
    if (!state) return check.up('not configured');
    return check.up({ ...state, nextUpdate: state.nextUpdate.toISOString().slice(0, 10) });
  }

  private until(key: string, end: Date | undefined): HealthIndicatorResult {
    const check = this.indicators.check(key);
    if (!end) return check.down('it does not say when it ends');
    return end > this.clock.now() ? check.up({ until: end.toISOString() }) : check.down({ until: end.toISOString() });
  }
}
