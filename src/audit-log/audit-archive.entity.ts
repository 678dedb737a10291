import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A month whose events were moved from the database to an archive file. */
@Entity('audit_archive')
export class AuditArchiveEntity {
  /** Name of the partition that held the month. */
  @PrimaryColumn('text')
  partition: string;

  /** Range of its event ids: [lowerId, upperId). */
  @Column('uuid', { name: 'lower_id' })
  lowerId: string;

  @Column('uuid', { name: 'upper_id' })
  upperId: string;

  /**
   * Range of leaves in the file, [fromLeaf, toLeaf): every leaf of the month, and the leaves of other months between
   * them.
   */
  @Column('bigint', { name: 'from_leaf' })
  fromLeaf: number;

  @Column('bigint', { name: 'to_leaf' })
  toLeaf: number;

  /** Number of events that were deleted from the database. */
  @Column('bigint')
  events: number;

  /** SHA-256 of the file. */
  @Column('bytea')
  digest: Buffer;

  @Column({ type: 'timestamptz', name: 'archived_at', precision: 3 })
  archivedAt: Date;
}
