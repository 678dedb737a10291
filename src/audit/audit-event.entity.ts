import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One record of the audit log. Rows are inserted and never changed. */
@Entity('audit_event')
export class AuditEventEntity {
  /** UUIDv7, so ids sort by time. */
  @PrimaryColumn('uuid')
  id: string;

  /** The event as RFC 8785 JSON, exactly as it was hashed. */
  @Column('text')
  event: string;

  /** RFC 6962 leaf hash: SHA-256(0x00 ‖ event). */
  @Column('bytea', { name: 'leaf_hash' })
  leafHash: Buffer;

  @Column('text')
  type: string;

  @Column('text')
  outcome: string;

  @Column('text', { nullable: true })
  actor: string | null;

  @Column('text', { name: 'rp_id', nullable: true })
  rpId: string | null;

  @Column('text', { name: 'user_id', nullable: true })
  userId: string | null;

  @Column('uuid', { name: 'credential_uid', nullable: true })
  credentialUid: string | null;

  @Column('text', { name: 'credential_id', nullable: true })
  credentialId: string | null;
}
