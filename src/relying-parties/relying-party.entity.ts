import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type RelyingPartyPolicy, wholePolicy } from './relying-party-policy.js';

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

  /** Read whole: what was stored before a member was added has that member's default. */
  @Column('jsonb', { transformer: { from: wholePolicy, to: (policy: RelyingPartyPolicy) => policy } })
  policy: RelyingPartyPolicy;

  /** Counts the changes, from 1 on. */
  @Column('integer')
  version: number;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}
