import { Column, Entity, PrimaryColumn } from 'typeorm';

export type Ceremony = 'registration' | 'authentication';

/** A challenge that waits for its one answer. */
@Entity('challenge')
export class ChallengeEntity {
  @PrimaryColumn('uuid')
  id: string;

  @Column('text', { name: 'rp_id' })
  rpId: string;

  /** null: any user, by a discoverable credential. */
  @Column('text', { name: 'user_id', nullable: true })
  userId: string | null;

  @Column('text')
  ceremony: Ceremony;

  @Column('text', { nullable: true })
  purpose: string | null;

  /** 32 random bytes. */
  @Column('bytea')
  challenge: Buffer;

  /** SPIFFE ID of the service that asked: nobody else can answer. */
  @Column('text', { name: 'issued_to' })
  issuedTo: string;

  /** Asked for by `mediation: conditional`: user presence may be absent (WebAuthn L3 §7.1 step 15). */
  @Column('boolean')
  conditional: boolean;

  /** The authenticator attachment that was asked for. */
  @Column('text', { nullable: true })
  attachment: string | null;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;
}
