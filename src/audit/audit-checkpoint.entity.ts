import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A signed checkpoint, and all that the next one is made from. */
@Entity('audit_checkpoint')
export class AuditCheckpointEntity {
  /** Leaves of the tree. */
  @PrimaryColumn('bigint')
  size: number;

  @Column('bytea')
  root: Buffer;

  /** The hashes of the perfect subtrees that cover the tree, left to right. */
  @Column('bytea')
  frontier: Buffer;

  /** The event of the last leaf. */
  @Column('uuid', { name: 'last_id' })
  lastId: string;

  /** C2SP signed note. */
  @Column('text')
  note: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}
