import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type RelyingPartyPolicy, completePolicy } from './relying-party-policy.js';
import type { Successor } from './successor.js';

@Entity('relying_party')
export class RelyingPartyEntity {
  @PrimaryColumn('text', { name: 'rp_id' })
  rpId: string;

  @Column('text')
  name: string;

  @Column('text', { array: true })
  origins: string[];

  @Column('boolean')
  enabled: boolean;

  /** The whole policy. A member that was added after the row was stored has its default. */
  @Column('jsonb', { transformer: { from: completePolicy, to: (policy: RelyingPartyPolicy) => policy } })
  policy: RelyingPartyPolicy;

  /** null: the relying party has none. */
  @Column('jsonb', { nullable: true })
  successor: Successor | null;

  /** The number of changes, from 1. */
  @Column('integer')
  version: number;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;

  /** See RelyingPartySeals. null: a version without seals stored the row. */
  @Column('bytea', { nullable: true })
  seal: Buffer | null;
}
