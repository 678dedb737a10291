import { Column, Entity, PrimaryColumn } from 'typeorm';

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
