import { Inject, Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { Caller } from '../identity/request-context.js';
import { Metrics } from '../telemetry/metrics.js';

export type RiskSignal = 'denial-spike' | 'authority-changed' | 'certificate-altered' | 'sign-count-regressed';

/** So many denials of one identity in so long a time are no accident of its configuration. */
const SPIKE_DENIALS = 20;
const SPIKE_MS = 60_000;
/** So many identities are remembered, and so many authorities of each; beyond that the oldest are forgotten. */
const MAX_IDENTITIES = 10_000;
const MAX_AUTHORITIES = 8;
/** How many certificates are remembered. */
const MAX_CERTIFICATES = 10_000;

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
  private readonly authorities = new Map<string, Set<string>>();
  /** Fingerprints. */
  private readonly certificates = new Set<string>();

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
      this.denials.delete(spiffeId);
      this.denials.set(spiffeId, { count: 1, since: now });
      forgetOldest(this.denials, MAX_IDENTITIES);
      return;
    }
    known.count += 1;
    if (known.count !== SPIKE_DENIALS) return;
    this.raise('denial-spike', `${String(SPIKE_DENIALS)} denials within a minute`, { identity: spiffeId });
  }

  /**
   * An identity that comes with a certificate of another authority: a rotation of authorities, or a rogue one. Each
   * authority is told once, because in a rotation an identity comes with certificates of the old and the new by turns.
   */
  identified(caller: Caller): void {
    this.lookForTwin(caller);
    const { spiffeId, authority, fingerprint } = caller;
    const known = this.authorities.get(spiffeId);
    if (known?.has(authority)) return;
    if (!known) {
      this.authorities.set(spiffeId, new Set([authority]));
      forgetOldest(this.authorities, MAX_IDENTITIES);
      return;
    }
    const facts = { identity: spiffeId, fingerprint, authority, previous_authorities: [...known] };
    known.add(authority);
    forgetOldest(known, MAX_AUTHORITIES);
    this.raise('authority-changed', 'the identity came with a certificate of another authority', facts);
  }

  /** An honest caller never turns its certificate's signature into the other one that ECDSA accepts: see signature-twin.ts. */
  private lookForTwin({ spiffeId, fingerprint, twinFingerprint }: Caller): void {
    if (twinFingerprint === undefined || this.certificates.has(fingerprint)) return;
    this.certificates.add(fingerprint);
    forgetOldest(this.certificates, MAX_CERTIFICATES);
    if (!this.certificates.has(twinFingerprint)) return;
    const facts = { identity: spiffeId, fingerprint, twin_fingerprint: twinFingerprint };
    this.raise('certificate-altered', 'a certificate came with both signatures that ECDSA accepts', facts);
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

/** Of a map or a set, which keep the order in which their entries came. */
function forgetOldest(memory: Map<string, unknown> | Set<string>, max: number): void {
  for (const oldest of memory.keys()) {
    if (memory.size <= max) return;
    memory.delete(oldest);
  }
}
