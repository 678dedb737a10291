import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A stored hash above the leaves: of the 2^level leaves that begin with leaf index·2^level (log/stored-hashes.ts). */
@Entity('audit_node')
export class AuditNodeEntity {
  @PrimaryColumn('smallint')
  level: number;

  @PrimaryColumn('bigint')
  index: number;

  @Column('bytea')
  hash: Buffer;
}
