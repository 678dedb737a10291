import { Inject, Injectable, Logger } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuditService } from '../audit/audit.service.js';
import type { LogFaultKind } from './trusted-log.js';

export type LogFailure =
  | LogFaultKind
  | 'unreachable'
  | 'sequencer-failed'
  | 'sequencer-lag'
  | 'partitions'
  | 'event-altered'
  | 'event-unsealed'
  | 'anchor'
  | 'self-verification';

/** True if the stored log is not the one that was signed, so that it is not continued. */
export function isLogFault(failure: string): failure is LogFaultKind {
  return failure === 'log-altered' || failure === 'log-truncated';
}

/** `error` is what was thrown; the audit log has it as a text. */
type Facts = Readonly<Record<string, unknown>> & { readonly error?: unknown };

/**
 * Keeps the current failures of the log (PCI DSS 10.7). Readiness, metrics and the service's own log show a failure
 * while it lasts. The audit log records when it began and when it ended, as soon as it can be written.
 */
@Injectable()
export class LogFailures {
  private readonly logger = new Logger(LogFailures.name);
  private readonly since = new Map<LogFailure, Date>();

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
  ) {}

  listCurrent(): LogFailure[] {
    return [...this.since.keys()];
  }

  has(failure: LogFailure): boolean {
    return this.since.has(failure);
  }

  /** Reports a failure that lasts. It is recorded once, until it recovers. */
  reportFailure(failure: LogFailure, facts: Facts): void {
    this.metrics.failedTurns.inc({ failure });
    if (!this.since.has(failure)) this.record(failure, facts);
  }

  /** Reports an incident that no later success undoes. It is recorded each time. */
  reportIncident(failure: LogFailure, facts: Facts): void {
    this.metrics.failedTurns.inc({ failure });
    this.record(failure, facts);
  }

  reportRecovery(failure: LogFailure): void {
    const since = this.since.get(failure);
    if (!since) return;
    this.since.delete(failure);
    this.metrics.auditFailing.set({ failure }, 0);
    this.logger.log({ message: 'the audit log works again', failure, since });
    const facts = { since: since.toISOString() };
    this.audit.recordEventually({ type: 'audit.recovery', outcome: 'success', reason: failure, facts });
  }

  private record(failure: LogFailure, facts: Facts): void {
    if (!this.since.has(failure)) this.since.set(failure, this.clock.now());
    this.metrics.auditFailing.set({ failure }, 1);
    this.logger.error({ message: 'the audit log fails', failure, ...facts });
    const recorded = 'error' in facts ? { ...facts, error: String(facts.error) } : facts;
    this.audit.recordEventually({ type: 'audit.failure', outcome: 'failure', reason: failure, facts: recorded });
  }
}
