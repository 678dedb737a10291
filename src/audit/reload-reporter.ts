import { Logger } from '@nestjs/common';
import type { Config } from '../config/config.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { AuditService } from './audit.service.js';

/** The events that report the reload of watched files, each with its resource in the metric and in the log. */
const RESOURCES = {
  'trust.reload': ['trust-store', 'trust store'],
  'policy.reload': ['access-policy', 'access policy'],
  'metadata.reload': ['metadata', 'FIDO metadata'],
  'attestation-roots.reload': ['attestation-roots', 'attestation roots'],
  'receipt-keys.reload': ['receipt-keys', 'receipt keys'],
  'signal-keys.reload': ['signal-keys', 'keys of signals'],
  'signal-push.reload': ['signal-push', 'receivers of pushes'],
} as const;

/** Reports each reload of watched files to the audit log, the metrics and the service's own log. */
export class ReloadReporter {
  private readonly logger = new Logger(ReloadReporter.name);

  constructor(
    private readonly type: keyof typeof RESOURCES,
    private readonly audit: Pick<AuditService, 'recordEventually'>,
    private readonly metrics: Pick<Metrics, 'reloads'>,
    private readonly config: Pick<Config, 'worker'>,
  ) {}

  /**
   * @param files the paths of those that changed
   * @param facts what an auditor must know about the new files and the previous ones, without secrets
   */
  reportSuccess(files: readonly string[], facts: Readonly<Record<string, unknown>>): void {
    this.report('success', { facts });
    this.logger.log({ message: `${RESOURCES[this.type][1]} reloaded`, files, facts });
  }

  /** @param detail says why the files are refused; the event holds at most 500 characters of it */
  reportFailure(detail: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.report('failure', { reason: 'unusable', detail: detail.slice(0, 500).toWellFormed(), facts });
    this.logger.error({ message: `${RESOURCES[this.type][1]} reload refused; what it replaces stays`, reason: detail });
  }

  private report(
    outcome: 'success' | 'failure',
    members: { readonly reason?: string; readonly detail?: string; readonly facts: object },
  ): void {
    this.metrics.reloads.inc({ resource: RESOURCES[this.type][0], outcome });
    const facts = { worker: this.config.worker?.number, ...members.facts };
    this.audit.recordEventually({ type: this.type, outcome, ...members, facts });
  }
}
