import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The log's order: which event is which leaf. Rows are inserted and never changed; they outlive their events. */
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
