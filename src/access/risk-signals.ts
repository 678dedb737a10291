import { Inject, Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { Caller } from '../http/request-context.js';
import { Metrics } from '../telemetry/metrics.js';

export type RiskSignal = 'denial-spike' | 'authority-changed' | 'certificate-altered' | 'sign-count-regressed';

/** One identity does not have this many denials in this time because of a wrong configuration alone. */
const SPIKE_DENIALS = 20;
const SPIKE_MS = 60_000;
/** Bounds of the memory: identities, and authorities of each. Beyond them, the oldest are forgotten. */
const MAX_IDENTITIES = 10_000;
const MAX_AUTHORITIES = 8;
/** The bound of the memory of certificates. */
const MAX_CERTIFICATES = 10_000;

interface Denials {
  count: number;
  since: number;
}

/**
 * Finds signs that something is wrong although every single decision followed the rules. Each signal is counted and
 * recorded in the audit log. What a process knows about an identity is in its memory only, and a restart forgets it.
 */
@Injectable()
export class RiskSignals {
  private readonly denials = new Map<string, Denials>();
  private readonly authorities = new Map<string, Set<string>>();
  /** Fingerprints of the certificates that were presented. */
  private readonly certificates = new Set<string>();

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
  ) {}

  /** Counts a denial, and reports a spike once in each window. */
  countDenial({ spiffeId }: Caller): void {
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
   * Reports an identity that presents a certificate from another authority: either the authorities rotate or one is
   * rogue. Each authority is reported once, because during a rotation the certificates of both alternate.
   */
  checkIdentity(caller: Caller): void {
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
    this.raise('authority-changed', 'the identity presented a certificate from another authority', facts);
  }

  /**
   * Reports a certificate that comes with both signatures that ECDSA accepts. An honest caller never turns one into the
   * other: see signature-twin.ts.
   */
  private lookForTwin({ spiffeId, fingerprint, twinFingerprint }: Caller): void {
    if (twinFingerprint === undefined || this.certificates.has(fingerprint)) return;
    this.certificates.add(fingerprint);
    forgetOldest(this.certificates, MAX_CERTIFICATES);
    if (!this.certificates.has(twinFingerprint)) return;
    const facts = { identity: spiffeId, fingerprint, twin_fingerprint: twinFingerprint };
    this.raise('certificate-altered', 'a certificate was presented with both signatures that ECDSA accepts', facts);
  }

  /**
   * Counts a copied passkey, or an authenticator that lost its count. The event of the authentication names the user.
   */
  countSignCountRegression(): void {
    this.metrics.riskSignals.inc({ signal: 'sign-count-regressed' satisfies RiskSignal });
  }

  private raise(signal: RiskSignal, detail: string, facts: Readonly<Record<string, unknown>>): void {
    this.metrics.riskSignals.inc({ signal });
    this.audit.recordEventually({ type: 'risk.signal', outcome: 'success', reason: signal, detail, facts });
  }
}

/** Forgets the oldest entries: maps and sets keep the order of insertion. */
function forgetOldest(memory: Map<string, unknown> | Set<string>, max: number): void {
  for (const oldest of memory.keys()) {
    if (memory.size <= max) return;
    memory.delete(oldest);
  }
}
