import type { ApprovablePermission } from '../../access/permissions.js';
import type { ApprovalEntity, ApprovalStatus, ChangeAction, SettingChange } from '../approval.entity.js';

export class ApprovalResponse {
  id: string;
  permission: ApprovablePermission;
  rpId: string;
  status: ApprovalStatus;
  requestedBy: string;
  requestedAt: Date;
  expiresAt: Date;
  decidedBy: string | null;
  decidedAt: Date | null;
  reason: string | null;
  /** Of a request to erase a user: null when the user is erased. */
  userId?: string | null;
  /** Of a request to change a relying party. */
  change?: { version: number; changes: readonly SettingChange[] };

  static of(entity: ApprovalEntity, userId: string | null, now: Date): ApprovalResponse {
    const { id, permission, rpId, requestedBy, requestedAt, expiresAt, decidedBy, decidedAt, reason } = entity;
    const status = entity.status === 'pending' && now >= expiresAt ? 'expired' : entity.status;
    const shown = { id, permission, rpId, status, requestedBy, requestedAt, expiresAt, decidedBy, decidedAt, reason };
    if (permission === 'passkeys:erase') return { ...shown, userId };
    const { version, changes } = JSON.parse(entity.action) as ChangeAction;
    return { ...shown, change: { version, changes } };
  }
}
