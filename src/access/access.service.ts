import { Inject, Injectable } from '@nestjs/common';
import { Refusals } from '../audit/refusals.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext, Caller, RequestContext } from '../http/request-context.js';
import { Problem, type ProblemSlug } from '../http/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import type { ApprovalRules, Denial, Grant } from './access-policy.js';
import type { Permission } from './permissions.js';
import { PolicyStore } from './policy-store.js';
import { RequestRate } from './request-rate.js';
import { RiskSignals } from './risk-signals.js';

/**
 * Decides every request by the current access policy. The log line of the request and the audit event of its outcome
 * hold the decision. A denial is recorded or counted in the audit log before the caller learns of it.
 */
@Injectable()
export class AccessService {
  private readonly rate = new RequestRate();

  constructor(
    private readonly store: PolicyStore,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly refusals: Refusals,
    private readonly risks: RiskSignals,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Lets the caller through if the policy grants the permission, within its rate.
   *
   * @throws Problem permission-denied, rate-limited
   */
  async authorize(context: RequestContext & { caller: Caller }, permission: Permission | 'any'): Promise<void> {
    const { caller } = context;
    const { policy } = this.store;
    const now = this.clock.now();
    const denial = policy.deny.find((denial) => matchesCaller(denial, caller));
    // The policy denies the issued certificate, not its twin, so the log shows the fingerprint of the issued one.
    if (denial?.fingerprint !== undefined) context.caller = { ...caller, fingerprint: denial.fingerprint };
    const grant = policy.grants.get(caller.spiffeId);
    if (grant) this.risks.checkIdentity(caller);
    const flaw = this.findFlaw(grant, caller, permission, now);
    const outcome = flaw === undefined ? 'allowed' : 'denied';
    context.decision = { outcome, permission, policyDigest: policy.digest, epoch: context.epoch ?? 0 };
    this.metrics.decisions.inc({ permission, outcome });
    if (!grant || flaw !== undefined) return this.refuse(context, 'permission-denied', flaw ?? '');
    this.limitRate(context, grant, now);
    context.relyingParties = grant.relyingParties;
  }

  /**
   * Returns true if an allowed request would still be allowed. Long answers ask this.
   *
   * @param rpId the relying party that the answer is about
   */
  async isStillAllowed(context: AuthorizedContext, permission: Permission, rpId?: string): Promise<boolean> {
    const { caller } = context;
    const grant = this.store.policy.grants.get(caller.spiffeId);
    const flaw = this.findFlaw(grant, caller, permission, this.clock.now());
    if (rpId !== undefined && grant?.relyingParties?.includes(rpId) === false) return false;
    return flaw === undefined && (await context.stillTrusted?.()) !== false;
  }

  /** @throws Problem relying-party-denied, even if the relying party does not exist */
  async authorizeRelyingParty(context: AuthorizedContext, rpId: string): Promise<void> {
    if (context.relyingParties === null || context.relyingParties.includes(rpId)) return;
    if (context.decision) context.decision = { ...context.decision, outcome: 'denied' };
    await this.refuse(context, 'relying-party-denied', `the caller may not act for ${rpId}`, rpId);
  }

  /** @throws Problem permission-denied if the policy grants the caller no receipts for this audience */
  async authorizeAudience(context: AuthorizedContext, audience: string): Promise<void> {
    if (this.store.policy.grants.get(context.caller.spiffeId)?.receiptAudiences.includes(audience)) return;
    if (context.decision) context.decision = { ...context.decision, outcome: 'denied' };
    await this.refuse(context, 'permission-denied', 'the caller may not ask for receipts for this audience');
  }

  /** @throws Problem permission-denied if the policy no longer names the caller, because it changed during the request */
  async getGrant(context: AuthorizedContext): Promise<Grant> {
    const grant = this.store.policy.grants.get(context.caller.spiffeId);
    return grant ?? this.refuse(context, 'permission-denied', 'the access policy does not name the caller');
  }

  /** What needs an approval at present; null: nothing. */
  get approvals(): ApprovalRules | null {
    return this.store.policy.approvals;
  }

  /**
   * Returns true if the policy still grants what an identity asked for earlier. The certificate of that request is gone,
   * so only a denial of the identity counts.
   */
  isGranted(spiffeId: string, permission: Permission, rpId: string): boolean {
    const { grants, deny } = this.store.policy;
    const grant = grants.get(spiffeId);
    if (!grant || deny.some(({ id }) => id === spiffeId)) return false;
    const hasEnded = grant.notAfter !== null && this.clock.now() > grant.notAfter;
    return !hasEnded && grant.permissions.has(permission) && (grant.relyingParties?.includes(rpId) ?? true);
  }

  /** The `aud` of the signals of an identity. */
  findAudience(spiffeId: string): string {
    return this.store.policy.grants.get(spiffeId)?.signalAudience ?? spiffeId;
  }

  /**
   * Returns what the policy lets an identity receive signals of, whether it has a connection or not; undefined: of nothing.
   * Only a denial of the identity counts, because no certificate is looked at.
   */
  findReceiver(spiffeId: string): { relyingParties: readonly string[] | null } | undefined {
    const { grants, deny } = this.store.policy;
    const grant = grants.get(spiffeId);
    if (!grant?.permissions.has('events:receive') || deny.some(({ id }) => id === spiffeId)) return undefined;
    if (grant.notAfter !== null && this.clock.now() > grant.notAfter) return undefined;
    return { relyingParties: grant.relyingParties };
  }

  /** @throws Problem approval-denied if the caller made the request itself */
  async authorizeDecision(context: AuthorizedContext, requestedBy: string, rpId: string | undefined): Promise<void> {
    if (context.caller.spiffeId !== requestedBy) return;
    if (context.decision) context.decision = { ...context.decision, outcome: 'denied' };
    await this.refuse(context, 'approval-denied', 'the caller made this request, so another identity decides it', rpId);
  }

  /** Returns why the policy does not allow the request; undefined if it does. */
  private findFlaw(
    grant: Grant | undefined,
    caller: Caller,
    permission: Permission | 'any',
    now: Date,
  ): string | undefined {
    if (!grant) return 'the access policy does not name the caller';
    if (this.store.policy.deny.some((denial) => matchesCaller(denial, caller))) {
      return 'the access policy denies this caller or certificate';
    }
    if (grant.notAfter && now > grant.notAfter) return 'the grant has ended';
    if (permission !== 'any' && !grant.permissions.has(permission)) return `the caller lacks ${permission}`;
    return undefined;
  }

  private limitRate(context: RequestContext, grant: Grant, now: Date): void {
    if (grant.requestsPerSecond === null) return;
    const retryAfter = this.rate.take(grant, grant.requestsPerSecond, now.getTime());
    if (retryAfter === 0) return;
    context.excessOf = grant.id;
    throw new Problem('rate-limited', { retryAfter });
  }

  private refuse(
    context: RequestContext & { caller: Caller },
    slug: ProblemSlug,
    detail: string,
    rpId?: string,
  ): Promise<never> {
    this.risks.countDenial(context.caller);
    const isNamed = this.store.policy.grants.has(context.caller.spiffeId);
    return this.refusals.refuse(context, new Problem(slug, { detail }), isNamed, rpId);
  }
}

/**
 * Compares both fingerprints that ECDSA allows: only one is that of the issued certificate, and a caller may present
 * either.
 */
function matchesCaller(denial: Denial, caller: Caller): boolean {
  return (
    denial.id === caller.spiffeId ||
    denial.serial === caller.serialNumber ||
    denial.publicKey === caller.publicKey ||
    (denial.fingerprint !== undefined && [caller.fingerprint, caller.twinFingerprint].includes(denial.fingerprint))
  );
}
