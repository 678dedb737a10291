import { Column, Entity, PrimaryColumn } from 'typeorm';

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
