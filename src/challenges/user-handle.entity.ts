import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * The random user handle by which authenticators know a user (WebAuthn L3 §5.4.3). A user keeps one handle per relying
 * party.
 */
@Entity('user_handle')
export class UserHandleEntity {
  @PrimaryColumn('text', { name: 'rp_id' })
  rpId: string;

  @PrimaryColumn('text', { name: 'user_id' })
  userId: string;

  /** 32 random bytes. */
  @Column('bytea')
  handle: Buffer;

  /** The user's pseudonym in the audit log. It is random, and erasing the user deletes it with this row. */
  @Column('uuid', { name: 'audit_uid' })
  auditUid: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  /** See UserSeals. null: a version without seals stored the row. */
  @Column('bytea', { nullable: true })
  seal: Buffer | null;

  /** How often all passkeys of the user were revoked. null: never. A registration that began before ends with none. */
  @Column('integer', { nullable: true })
  revocations: number | null;
}
