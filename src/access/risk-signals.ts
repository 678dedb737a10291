import { Inject, Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { Caller } from '../identity/request-context.js';
import { Metrics } from '../telemetry/metrics.js';

export type RiskSignal = 'denial-spike' | 'authority-changed' | 'sign-count-regressed';

/** So many denials of one identity in so long a time are no accident of its configuration. */
const SPIKE_DENIALS = 20;
const SPIKE_MS = 60_000;
/** Granted identities are as many as the policy has; strangers of the trust domain are remembered up to here. */
const MAX_IDENTITIES = 10_000;

interface Denials {
  count: number;
  since: number;
}

/**
 * Signs that something is wrong though every single request was decided by the rules: each is counted, and an event of
 * the audit log. What a process has seen of an identity is in its memory alone: a restart forgets it.
 */
@Injectable()
export class RiskSignals {
  private readonly denials = new Map<string, Denials>();
  private readonly authorities = new Map<string, string>();

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
  ) {}

  /** A spike is told once in each window. */
  denied({ spiffeId }: Caller): void {
    const now = this.clock.now().getTime();
    const known = this.denials.get(spiffeId);
    if (!known || now - known.since >= SPIKE_MS || now < known.since) {
      if (this.denials.size >= MAX_IDENTITIES) this.denials.clear();
      this.denials.set(spiffeId, { count: 1, since: now });
      return;
    }
    known.count += 1;
    if (known.count !== SPIKE_DENIALS) return;
    this.raise('denial-spike', `${String(SPIKE_DENIALS)} denials within a minute`, { identity: spiffeId });
  }

  /** An identity that comes with a certificate of another authority: a rotation of authorities, or a rogue one. */
  identified({ spiffeId, authority, fingerprint }: Caller): void {
    const known = this.authorities.get(spiffeId);
    if (known === authority) return;
    if (this.authorities.size >= MAX_IDENTITIES) this.authorities.clear();
    this.authorities.set(spiffeId, authority);
    if (known === undefined) return;
    const facts = { identity: spiffeId, fingerprint, authority, previous_authority: known };
    this.raise('authority-changed', 'the identity came with a certificate of another authority', facts);
  }

  /** A passkey's copy, or an authenticator that lost its count; the authentication's own event tells of whom. */
  signCountRegressed(): void {
    this.metrics.riskSignals.inc({ signal: 'sign-count-regressed' satisfies RiskSignal });
  }

  private raise(signal: RiskSignal, detail: string, facts: Readonly<Record<string, unknown>>): void {
    this.metrics.riskSignals.inc({ signal });
    this.audit.recordEventually({ type: 'risk.signal', outcome: 'success', reason: signal, detail, facts });
  }
}
