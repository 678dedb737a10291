import type { ApprovablePermission } from '../../access/permissions.js';
import type {
  ApprovalEntity,
  ApprovalStatus,
  ChangeAction,
  ForceRetireAction,
  SettingChange,
} from '../approval.entity.js';

export class ApprovalResponse {
  id: string;
  permission: ApprovablePermission;
  rpId: string | null;
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
  /** Of a request to retire a key although rows need it. */
  sealKey?: { id: string; rows: number };

  static of(entity: ApprovalEntity, userId: string | null, now: Date): ApprovalResponse {
    const { id, permission, rpId, requestedBy, requestedAt, expiresAt, decidedBy, decidedAt, reason } = entity;
    const status = entity.status === 'pending' && now >= expiresAt ? 'expired' : entity.status;
    const shown = { id, permission, rpId, status, requestedBy, requestedAt, expiresAt, decidedBy, decidedAt, reason };
    if (permission === 'passkeys:erase') return { ...shown, userId };
    if (permission === 'seal-keys:force-retire') {
      const { sealKey: id, rows } = JSON.parse(entity.action) as ForceRetireAction;
      return { ...shown, sealKey: { id, rows } };
    }
    const { version, changes } = JSON.parse(entity.action) as ChangeAction;
    return { ...shown, change: { version, changes } };
  }
}
