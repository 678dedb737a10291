import { Column, Entity, PrimaryColumn } from 'typeorm';

export type Ceremony = 'registration' | 'authentication';

/** An issued challenge. It is redeemed once, by the first answer. */
@Entity('challenge')
export class ChallengeEntity {
  @PrimaryColumn('uuid')
  id: string;

  @Column('text', { name: 'rp_id' })
  rpId: string;

  /** null: the challenge is for any user, who answers with a discoverable credential. */
  @Column('text', { name: 'user_id', nullable: true })
  userId: string | null;

  @Column('text')
  ceremony: Ceremony;

  @Column('text', { nullable: true })
  purpose: string | null;

  /** 32 random bytes. */
  @Column('bytea')
  challenge: Buffer;

  /** SPIFFE ID of the caller that asked for the challenge. No other caller can redeem it. */
  @Column('text', { name: 'issued_to' })
  issuedTo: string;

  /** True for `mediation: conditional`, where user presence may be absent (WebAuthn L3 §7.1 step 15). */
  @Column('boolean')
  conditional: boolean;

  /** The authenticator attachment that the caller asked for; null: any. */
  @Column('text', { nullable: true })
  attachment: string | null;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;
}
