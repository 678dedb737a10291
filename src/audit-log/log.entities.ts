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

/** Stored hash of the 2^level leaves that begin at leaf index·2^level (src/tlog/tiles.ts). */
@Entity('audit_node')
export class AuditNodeEntity {
  @PrimaryColumn('smallint')
  level: number;

  @PrimaryColumn('bigint')
  index: number;

  @Column('bytea')
  hash: Buffer;
}

/** A signed checkpoint, with everything that the next one is computed from. */
@Entity('audit_checkpoint')
export class AuditCheckpointEntity {
  /** Number of leaves in the tree. */
  @PrimaryColumn('bigint')
  size: number;

  @Column('bytea')
  root: Buffer;

  /** Hashes of the perfect subtrees that cover the tree, left to right. */
  @Column('bytea')
  frontier: Buffer;

  /** Id of the event at the last leaf. */
  @Column('uuid', { name: 'last_id' })
  lastId: string;

  /** The checkpoint as a C2SP signed note. */
  @Column('text')
  note: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}

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
