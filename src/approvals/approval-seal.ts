import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import type { ApprovalEntity } from './approval.entity.js';

/** A user of a relying party with the pseudonym that stands for the user in the audit log. */
interface BoundUser {
  readonly rpId: string;
  readonly userId: string;
  readonly auditUid: string;
}

/**
 * Seals requests for approval with HMAC-SHA-256 over every column. Whoever can write to the table but lacks the key cannot
 * make up a request, change what it does or who made it, or prolong it. (The MAC does not detect an old row that is
 * restored whole. Such a row does nothing until an approver decides it, and its target has changed:
 * docs/adr/0025-approvals.md.)
 */
@Injectable()
export class ApprovalSeal {
  constructor(@Inject(SECRET_KEYS) private readonly keys: SecretKeys) {}

  seal<T extends Omit<ApprovalEntity, 'mac'>>(approval: T): T & { mac: Buffer } {
    return Object.assign(approval, { mac: this.computeMac(approval) });
  }

  isGenuine(approval: ApprovalEntity): boolean {
    const mac = this.computeMac(approval);
    return mac.length === approval.mac.length && timingSafeEqual(mac, approval.mac);
  }

  bindUser({ rpId, userId, auditUid }: BoundUser): string {
    return this.hmac(['user', rpId, userId, auditUid]).toString('base64url');
  }

  private computeMac(approval: Omit<ApprovalEntity, 'mac'>): Buffer {
    const { id, permission, rpId, action, requestedBy, status, decidedBy, reason } = approval;
    const times = [approval.requestedAt, approval.expiresAt, approval.decidedAt].map(toMilliseconds);
    return this.hmac(['approval', id, permission, rpId, action, requestedBy, status, decidedBy, reason, ...times]);
  }

  private hmac(parts: readonly (string | number | null)[]): Buffer {
    return createHmac('sha256', this.keys.approval).update(JSON.stringify(parts)).digest();
  }
}

/** SQL may have set `infinity`, which `pg` reads as a number. No seal has such a time. */
function toMilliseconds(time: Date | number | null): number | string | null {
  return time instanceof Date ? time.getTime() : time === null ? null : String(time);
}
