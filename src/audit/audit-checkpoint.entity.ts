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

  /** Of the last sequenced event, as `xid8` reads it: the next one has a higher (tx, id). */
  @Column('numeric', { name: 'last_tx', precision: 20, scale: 0 })
  lastTx: string;

  @Column('uuid', { name: 'last_id' })
  lastId: string;

  /** C2SP signed note. */
  @Column('text')
  note: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}
