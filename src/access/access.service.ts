import { Inject, Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext, Caller, RequestContext } from '../identity/request-context.js';
import { Problem, type ProblemSlug } from '../problems/problem.js';
import type { AccessPolicy, Denial, Grant } from './access-policy.js';
import type { Permission } from './permissions.js';
import { RequestRate } from './request-rate.js';

export const ACCESS_POLICY = Symbol('AccessPolicy');

/** Decides by the access policy. A refusal is in the audit log before the caller learns of it. */
@Injectable()
export class AccessService {
  private readonly rate = new RequestRate();

  constructor(
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
  ) {}

  /** @throws Problem permission-denied or rate-limited */
  async demand(context: RequestContext & { caller: Caller }, permission: Permission | 'any'): Promise<void> {
    const { caller } = context;
    const now = this.clock.now();
    const grant = this.policy.grants.get(caller.spiffeId);
    if (!grant) return this.refuse(context, 'permission-denied', 'the access policy does not name the caller');
    if (this.policy.deny.some((denial) => matches(denial, caller))) {
      return this.refuse(context, 'permission-denied', 'the access policy denies this caller or certificate');
    }
    if (grant.notAfter && now > grant.notAfter) return this.refuse(context, 'permission-denied', 'the grant has ended');
    if (permission !== 'any' && !grant.permissions.has(permission)) {
      return this.refuse(context, 'permission-denied', `the caller lacks ${permission}`);
    }
    this.limitRate(grant, now);
    context.relyingParties = grant.relyingParties;
  }

  /** @throws Problem relying-party-denied, whether or not the relying party exists */
  async demandRelyingParty(context: AuthorizedContext, rpId: string): Promise<void> {
    if (context.relyingParties === null || context.relyingParties.includes(rpId)) return;
    await this.refuse(context, 'relying-party-denied', `the caller may not act for ${rpId}`, rpId);
  }

  private limitRate(grant: Grant, now: Date): void {
    if (grant.requestsPerSecond === null) return;
    const retryAfter = this.rate.take(grant.id, grant.requestsPerSecond, now.getTime());
    if (retryAfter > 0) throw new Problem('rate-limited', { retryAfter });
  }

  private async refuse(context: RequestContext, slug: ProblemSlug, detail: string, rpId?: string): Promise<never> {
    await this.audit.record(context, { type: 'access.denied', outcome: 'failure', reason: slug, detail, rpId });
    throw new Problem(slug, { detail });
  }
}

function matches(denial: Denial, caller: Caller): boolean {
  return (
    denial.id === caller.spiffeId || denial.serial === caller.serialNumber || denial.fingerprint === caller.fingerprint
  );
}
