import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A month of the log whose events left the database for a file. */
@Entity('audit_archive')
export class AuditArchiveEntity {
  /** The table that it was. */
  @PrimaryColumn('text')
  partition: string;

  /** The ids of its events: [lowerId, upperId). */
  @Column('uuid', { name: 'lower_id' })
  lowerId: string;

  @Column('uuid', { name: 'upper_id' })
  upperId: string;

  /** The leaves that the file has, [fromLeaf, toLeaf): all that are of this month, and what stands between them. */
  @Column('bigint', { name: 'from_leaf' })
  fromLeaf: number;

  @Column('bigint', { name: 'to_leaf' })
  toLeaf: number;

  /** How many left the database. */
  @Column('bigint')
  events: number;

  /** SHA-256 of the file. */
  @Column('bytea')
  digest: Buffer;

  @Column({ type: 'timestamptz', name: 'archived_at', precision: 3 })
  archivedAt: Date;
}
