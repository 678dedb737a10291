import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What happened: to a passkey, or to the stream itself. */
export type SignalKind = ChangeKind | 'compromise' | 'verification' | 'stream-updated';
/** The `change_type` of CAEP 1.0 §3.3. */
export type ChangeKind = 'create' | 'update' | 'revoke' | 'delete';

/** CAEP 1.0 §2. */
export type InitiatingEntity = 'admin' | 'user' | 'policy' | 'system';

/** What the receiver is told of a passkey, as it was when it changed. */
export interface CredentialFacts {
  readonly name: string;
  readonly attachment: string | null;
  readonly aaguid: string;
  readonly initiator: InitiatingEntity;
  readonly reason: string;
}

/** What the receiver is told of the stream. */
export interface StreamFacts {
  /** Of a verification event. */
  readonly state?: string;
  /** Of an updated stream. */
  readonly status?: string;
  readonly reason?: string;
}

/** A change that a stream has to deliver, until the receiver acknowledges it. The outbox has a row for each stream. */
@Entity('signal')
export class SignalEntity {
  /** The `jti` of its SET, however often it is delivered. */
  @PrimaryColumn('uuid')
  id: string;

  @Column({ type: 'uuid', name: 'stream_id' })
  streamId: string;

  /** Signals are delivered in this order. */
  @Column({ type: 'bigint', insert: false, update: false })
  seq: number;

  @Column('text')
  kind: SignalKind;

  /** null: it is about the stream. */
  @Column('text', { name: 'rp_id', nullable: true })
  rpId: string | null;

  @Column('text', { name: 'user_id', nullable: true })
  userId: string | null;

  @Column('jsonb')
  facts: CredentialFacts | StreamFacts;

  /** What the signals of one cause have in common: the id of a request, or the number of FIDO metadata. */
  @Column('text')
  txn: string;

  @Column({ type: 'timestamptz', name: 'happened_at', precision: 3 })
  happenedAt: Date;
}
