import type { Config } from '../config/config.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { AuditService } from './audit.service.js';

/** The events that report the reload of watched files, each with the resource that the metric names. */
const RESOURCES = {
  'trust.reload': 'trust-store',
  'policy.reload': 'access-policy',
  'metadata.reload': 'metadata',
  'attestation-roots.reload': 'attestation-roots',
} as const;

/** Reports each reload of watched files to the audit log and to the metrics. */
export class ReloadReporter {
  constructor(
    private readonly type: keyof typeof RESOURCES,
    private readonly audit: Pick<AuditService, 'recordEventually'>,
    private readonly metrics: Pick<Metrics, 'reloads'>,
    private readonly config: Pick<Config, 'worker'>,
  ) {}

  /** @param facts what an auditor must know about the new files and the previous ones */
  reportSuccess(facts: Readonly<Record<string, unknown>>): void {
    this.report('success', { facts });
  }

  /** @param detail says why the files are refused; the event holds at most 500 characters of it */
  reportFailure(detail: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.report('failure', { reason: 'unusable', detail: detail.slice(0, 500).toWellFormed(), facts });
  }

  private report(
    outcome: 'success' | 'failure',
    members: { readonly reason?: string; readonly detail?: string; readonly facts: object },
  ): void {
    this.metrics.reloads.inc({ resource: RESOURCES[this.type], outcome });
    const facts = { worker: this.config.worker?.number, ...members.facts };
    this.audit.recordEventually({ type: this.type, outcome, ...members, facts });
  }
}
