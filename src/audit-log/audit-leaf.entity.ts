import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * A leaf of the log, which fixes the position of one event. Rows are inserted and never changed, and they outlive their
 * events.
 */
@Entity('audit_leaf')
export class AuditLeafEntity {
  @PrimaryColumn('bigint', { name: 'leaf_index' })
  leafIndex: number;

  @Column('uuid', { name: 'event_id' })
  eventId: string;

  /** RFC 6962 leaf hash. */
  @Column('bytea', { name: 'leaf_hash' })
  leafHash: Buffer;
}
