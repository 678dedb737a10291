import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The random name by which authenticators know a user (WebAuthn L3 §5.4.3): stable for a user of a relying party. */
@Entity('user_handle')
export class UserHandleEntity {
  @PrimaryColumn('text', { name: 'rp_id' })
  rpId: string;

  @PrimaryColumn('text', { name: 'user_id' })
  userId: string;

  /** 32 random bytes. */
  @Column('bytea')
  handle: Buffer;

  /** By which the audit log knows the user: random, and gone with this row. */
  @Column('uuid', { name: 'audit_uid', default: () => 'gen_random_uuid()' })
  auditUid: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}
