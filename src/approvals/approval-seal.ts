import { computeHmac } from '../config/hmac.js';
import { Injectable } from '@nestjs/common';
import { Refusals } from '../audit/refusals.js';
import type { RequestContext } from '../http/request-context.js';
import type { SealedRow } from '../seals/seal.js';
import { Seals } from '../seals/seals.js';
import type { ApprovalEntity } from './approval.entity.js';

/** A user of a relying party with the pseudonym that stands for the user in the audit log. */
interface BoundUser {
  readonly rpId: string;
  readonly userId: string;
  readonly auditUid: string;
}

/**
 * Seals requests for approval over every column. Whoever can write to the table but lacks the key cannot make up a request,
 * change what it does or who made it, or prolong it. (The seal does not detect an old row that is restored whole. Such a
 * row does nothing until an approver decides it, and its target has changed: docs/adr/0025-approvals.md.)
 */
@Injectable()
export class ApprovalSeal {
  constructor(
    private readonly seals: Seals,
    private readonly refusals: Refusals,
  ) {}

  seal<T extends Omit<ApprovalEntity, 'mac'>>(approval: T): T & { mac: Buffer } {
    return Object.assign(approval, { mac: this.seals.seal(describeApproval(approval)) });
  }

  isGenuine(approval: ApprovalEntity): boolean {
    return this.seals.isGenuine(describeApproval(approval), approval.mac);
  }

  /** True if the row should be sealed again. */
  isOld({ mac }: Pick<ApprovalEntity, 'mac'>): boolean {
    return this.seals.isOld(mac);
  }

  /** True if the row is as the service wrote it. If it is not, the audit log records that before this returns. */
  async verifyRow(context: RequestContext | null, approval: ApprovalEntity): Promise<boolean> {
    if (this.isGenuine(approval)) return true;
    const { id, rpId } = approval;
    const row = { rpId: rpId ?? undefined, approvalId: id };
    await this.refusals.refuseRow(context, { type: 'approval.tampered', ...row });
    return false;
  }

  /** Keeps the rows that pass the integrity check. Each of the others is reported. */
  async keepGenuine(context: RequestContext | null, approvals: ApprovalEntity[]): Promise<ApprovalEntity[]> {
    const genuine: ApprovalEntity[] = [];
    for (const approval of approvals) if (await this.verifyRow(context, approval)) genuine.push(approval);
    return genuine;
  }

  /**
   * Binds a user to the pseudonym, as long as replicas of the version before run, which ask for it. The seal of the user says
   * the same.
   *
   * @returns undefined: no such replica runs any more
   */
  bindUser(user: BoundUser): string | undefined {
    return this.seals.areNew ? undefined : this.seals.seal(describeUser(user)).toString('base64url');
  }
}

function describeUser({ rpId, userId, auditUid }: BoundUser): SealedRow {
  const parts = [rpId, userId, auditUid];
  return { kind: 'approval-user', parts, former: ({ approval }) => computeFormer(approval, ['user', ...parts]) };
}

/** Describes every column. */
export function describeApproval(approval: Omit<ApprovalEntity, 'mac'>): SealedRow {
  const { id, permission, rpId, action, requestedBy, status, decidedBy, reason } = approval;
  const times = [approval.requestedAt, approval.expiresAt, approval.decidedAt].map(toMilliseconds);
  const parts = [id, permission, rpId, action, requestedBy, status, decidedBy, reason, ...times];
  return { kind: 'approval', parts, former: (keys) => computeFormer(keys.approval, ['approval', ...parts]) };
}

function computeFormer(key: Buffer, parts: readonly (string | number | null)[]): Buffer {
  return computeHmac(key, JSON.stringify(parts));
}

/** SQL may have set `infinity`, which `pg` reads as a number. No seal has such a time. */
function toMilliseconds(time: Date | number | null): number | string | null {
  return time instanceof Date ? time.getTime() : time === null ? null : String(time);
}
