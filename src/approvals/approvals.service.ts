import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service.js';
import type { ApprovablePermission } from '../access/permissions.js';
import { AuditService } from '../audit/audit.service.js';
import { redactText } from '../audit/redact-user-id.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { makeUuidv7 } from '../config/random.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { ApprovalSeal } from './approval-seal.js';
import { ApprovalEntity } from './approval.entity.js';
import { type ApprovalFilter, ApprovalRepository } from './approval.repository.js';
import { ApprovalSubjects } from './approval-subjects.js';
import { ExpiredApprovals } from './expired-approvals.js';

/**
 * Does what was approved, in the transaction of the approval, and records its event with `approvalId`.
 *
 * @throws Problem approval-state if the target has changed since the request
 */
export type ApprovedAction = (
  manager: EntityManager,
  context: AuthorizedContext,
  approval: ApprovalEntity,
) => Promise<void>;

/** What a caller wants to do, for which it needs an approval. */
export interface WantedAction {
  readonly permission: ApprovablePermission;
  readonly rpId: string;
  readonly userId?: string;
  readonly action: object;
  /** Facts for auditors, beside the times and the permission. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The most requests of a caller that may wait at a relying party. Nobody reads more. */
const MOST_PENDING = 100;
const RETRY_SECONDS = 60;

/** Keeps requests for approval, and runs the action of a request when another identity approves it. */
@Injectable()
export class ApprovalsService {
  private readonly actions = new Map<ApprovablePermission, ApprovedAction>();

  constructor(
    private readonly approvals: ApprovalRepository,
    private readonly seal: ApprovalSeal,
    private readonly subjects: ApprovalSubjects,
    private readonly expired: ExpiredApprovals,
    private readonly access: AccessService,
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Says what the approval of a request runs. The feature that has the action calls this once. */
  define(permission: ApprovablePermission, action: ApprovedAction): void {
    this.actions.set(permission, action);
  }

  /**
   * Makes a request for an approval, within a transaction that holds the lock of the target. The same request of the same
   * caller, made again while it is pending, is the one that stands.
   *
   * @returns null if the access policy lets the caller do it alone
   * @throws Problem rate-limited if too many requests of the caller are pending
   */
  async request(
    manager: EntityManager,
    context: AuthorizedContext,
    { permission, rpId, userId, action, facts }: WantedAction,
  ): Promise<ApprovalEntity | null> {
    const rules = this.access.approvals;
    if (!rules?.permissions.has(permission)) return null;
    const requestedAt = this.clock.now();
    const approval = this.seal.seal(
      Object.assign(new ApprovalEntity(), {
        ...{ id: makeUuidv7(requestedAt), permission, rpId, action: JSON.stringify(action) },
        ...{ requestedBy: context.caller.spiffeId, requestedAt },
        expiresAt: new Date(requestedAt.getTime() + rules.ttlSeconds * 1_000),
        ...{ status: 'pending' as const, decidedBy: null, decidedAt: null, reason: null },
      }),
    );
    const pending = await this.approvals.findPending(manager, approval, MOST_PENDING);
    const standing = pending.find((each) => this.seal.isGenuine(each) && isSameAction(each, approval));
    if (standing) return standing;
    if (pending.length === MOST_PENDING) {
      const detail = `${String(MOST_PENDING)} requests of this caller wait for a decision at ${rpId}`;
      throw new Problem('rate-limited', { retryAfter: RETRY_SECONDS, detail });
    }
    await manager.insert(ApprovalEntity, approval);
    const told = { requested_permission: permission, expires_at: approval.expiresAt.toISOString(), ...facts };
    const entry = { outcome: 'success', rpId, userId, approvalId: approval.id, facts: told } as const;
    await this.audit.record(context, { type: 'approval.request', ...entry }, manager);
    return approval;
  }

  /**
   * Returns a request to the identity that made it, and to those who decide.
   *
   * @throws Problem approval-unknown, not-found
   */
  async get(context: AuthorizedContext, id: string): Promise<ApprovalEntity> {
    this.demandRules();
    const approval = await this.approvals.find(id, context.relyingParties);
    const isOwn = approval?.requestedBy === context.caller.spiffeId;
    const mayRead = isOwn || (await this.access.isStillAllowed(context, 'approvals:decide'));
    if (!approval || !mayRead || !(await this.seal.verifyRow(context, approval))) throw new Problem('approval-unknown');
    return approval;
  }

  /** @throws Problem not-found */
  async list(
    context: AuthorizedContext,
    filter: Pick<ApprovalFilter, 'status' | 'after' | 'limit'>,
  ): Promise<ApprovalEntity[]> {
    this.demandRules();
    return this.approvals.list({ ...filter, relyingParties: context.relyingParties, now: this.clock.now() });
  }

  /**
   * Approves a request and runs its action, or refuses it. Of any number of decisions, on any number of replicas, one
   * counts.
   *
   * @throws Problem approval-unknown, approval-denied, approval-state, not-found, and those of the action
   */
  async decide(
    context: AuthorizedContext,
    id: string,
    status: 'approved' | 'refused',
    reason: string,
  ): Promise<ApprovalEntity> {
    const known = await this.get(context, id);
    await this.access.authorizeDecision(context, known.requestedBy, known.rpId ?? undefined);
    if (known.status === 'pending' && this.isOverdue(known)) await this.expired.expire();
    return this.approvals.transaction(async (manager) => {
      const approval = await this.approvals.lock(manager, id);
      if (!approval || !this.seal.isGenuine(approval)) throw new Problem('approval-unknown');
      this.demandPending(approval);
      if (status === 'approved') this.demandRequesterGranted(approval);
      await this.record(manager, context, approval, status, reason);
      if (status === 'approved') await this.actions.get(approval.permission)!(manager, context, approval);
      return approval;
    });
  }

  private async record(
    manager: EntityManager,
    context: AuthorizedContext,
    approval: ApprovalEntity,
    status: 'approved' | 'refused',
    reason: string,
  ): Promise<void> {
    const { id, permission, requestedBy } = approval;
    const rpId = approval.rpId ?? undefined;
    const userId = (await this.subjects.findUserId(manager, approval)) ?? undefined;
    const decided = { status, decidedBy: context.caller.spiffeId, decidedAt: this.clock.now() };
    const text = userId === undefined ? reason : redactText(reason, userId);
    const { decidedBy, decidedAt, mac } = this.seal.seal(Object.assign(approval, { ...decided, reason: text }));
    await manager.update(ApprovalEntity, { id }, { status, decidedBy, decidedAt, reason: text, mac });
    const facts = { requested_permission: permission, requested_by: requestedBy, status_reason: reason };
    const type = status === 'approved' ? 'approval.approve' : 'approval.refuse';
    await this.audit.record(context, { type, outcome: 'success', rpId, userId, approvalId: id, facts }, manager);
  }

  /** @throws Problem not-found if the access policy asks for no approvals */
  private demandRules(): void {
    if (this.access.approvals) return;
    throw new Problem('not-found', { detail: 'the access policy asks for no approvals' });
  }

  private demandPending(approval: ApprovalEntity): void {
    const { status } = approval;
    if (status !== 'pending') throw new Problem('approval-state', { detail: `it is ${status}` });
    if (this.isOverdue(approval)) throw new Problem('approval-state', { detail: 'it is expired' });
  }

  private demandRequesterGranted({ requestedBy, permission, rpId }: ApprovalEntity): void {
    // The policy does not name whoever runs `npm run keys`.
    if (rpId === null || permission === 'seal-keys:force-retire') return;
    if (this.access.isGranted(requestedBy, permission, rpId)) return;
    const detail = `the caller that requested it no longer has ${permission} for ${rpId}`;
    throw new Problem('approval-state', { detail });
  }

  private isOverdue({ expiresAt }: ApprovalEntity): boolean {
    return this.clock.now() >= expiresAt;
  }
}

/** The binding of a user, which an erasure of before may have, is another one under another key. */
function isSameAction(one: ApprovalEntity, other: ApprovalEntity): boolean {
  const [left, right] = [one, other].map(({ action }) =>
    JSON.stringify({ ...(JSON.parse(action) as object), binding: undefined }),
  );
  return left === right;
}
