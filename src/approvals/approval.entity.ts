import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { ApprovablePermission } from '../access/permissions.js';

export const APPROVAL_STATUSES = ['pending', 'approved', 'refused', 'expired'] as const;
export type ApprovalStatus = (typeof APPROVAL_STATUSES)[number];

/**
 * A caller's request that waits for the decision of a second identity, or has had it. The row never holds the id of a user:
 * a request to erase one holds the user's pseudonym, which the erasure of the user makes meaningless.
 */
@Entity('approval')
export class ApprovalEntity {
  @PrimaryColumn('uuid')
  id: string;

  /** The permission by which the caller made the request, or what the operator wants. It says which action an approval runs. */
  @Column('text')
  permission: ApprovablePermission;

  /** null: the request is about no relying party. Only those who decide for all of them see it. */
  @Column('text', { name: 'rp_id', nullable: true })
  rpId: string | null;

  /** What an approval does, as JSON. The feature that has the action writes and reads it. */
  @Column('text')
  action: string;

  /** The SPIFFE ID of the caller, or `npm run keys`. */
  @Column('text', { name: 'requested_by' })
  requestedBy: string;

  @Column({ type: 'timestamptz', name: 'requested_at', precision: 3 })
  requestedAt: Date;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;

  @Column('text')
  status: ApprovalStatus;

  /** The SPIFFE ID of the identity that approved or refused. */
  @Column('text', { name: 'decided_by', nullable: true })
  decidedBy: string | null;

  /** When it was approved or refused, or was found expired. */
  @Column({ type: 'timestamptz', name: 'decided_at', precision: 3, nullable: true })
  decidedAt: Date | null;

  @Column('text', { nullable: true })
  reason: string | null;

  @Column('bytea')
  mac: Buffer;
}

/** The action of a request to erase a user. */
export interface ErasureAction {
  /** The user's pseudonym, `user_handle.audit_uid`. A user who is erased and registers again has another one. */
  readonly user: string;
  /** Only while replicas of the version before run: see ApprovalSeal.bindUser. */
  readonly binding?: string | undefined;
}

/** The action of a request to retire a key although rows need it. */
export interface ForceRetireAction {
  readonly sealKey: string;
  /** The number of rows that would count no longer, at the time of the request. */
  readonly rows: number;
}

/** A member of a relying party's settings that a request changes. */
export interface SettingChange {
  /** JSON pointer into the settings. */
  readonly pointer: string;
  /** null: the member is absent. */
  readonly before: unknown;
  readonly after: unknown;
  /** True if the change weakens the verification of ceremonies. */
  readonly weakens: boolean;
}

/** The action of a request to change a relying party. */
export interface ChangeAction {
  /** The version that the change was made for. */
  readonly version: number;
  readonly changes: readonly SettingChange[];
  /** The whole settings, as the change leaves them. */
  readonly settings: object;
}
