import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { JwtAlgorithm } from '../signing-keys/sign-jwt.js';

/** SSF 1.0 §8.1.2: a paused stream holds what happens, a disabled one does not. */
export const STREAM_STATUSES = ['enabled', 'paused', 'disabled'] as const;
export type StreamStatus = (typeof STREAM_STATUSES)[number];

/** SSF 1.0 §6.1. */
export const POLL = 'urn:ietf:rfc:8936';
export const PUSH = 'urn:ietf:rfc:8935';
export type DeliveryMethod = typeof POLL | typeof PUSH;

/** An event stream (SSF 1.0 §8.1.1): what one receiver hears of. */
@Entity('signal_stream')
export class StreamEntity {
  @PrimaryColumn('uuid')
  id: string;

  /** The SPIFFE ID of the receiver. Nobody else sees the stream. */
  @Column('text')
  owner: string;

  /** The audience of its SETs, as the access policy has it. */
  @Column('text')
  aud: string;

  /** The relying parties that it hears of, as the access policy has them; null: all. */
  @Column('text', { name: 'relying_parties', array: true, nullable: true })
  relyingParties: string[] | null;

  /** URIs of event types, also of those that this service does not know. */
  @Column('text', { name: 'events_requested', array: true })
  eventsRequested: string[];

  /** Those of them that it gets. */
  @Column('text', { name: 'events_delivered', array: true })
  eventsDelivered: string[];

  @Column('text', { name: 'delivery_method' })
  deliveryMethod: DeliveryMethod;

  /** Where SETs are pushed; null: the receiver polls. */
  @Column('text', { name: 'endpoint_url', nullable: true })
  endpointUrl: string | null;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('text')
  status: StreamStatus;

  /** Why it has the status, by whoever changed it. */
  @Column('text', { name: 'status_reason', nullable: true })
  statusReason: string | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;

  /** When the receiver last polled it or called for it, to the minute. */
  @Column({ type: 'timestamptz', name: 'active_at', precision: 3 })
  activeAt: Date;

  /** When the receiver last asked for a verification event; null: never. */
  @Column({ type: 'timestamptz', name: 'verified_at', precision: 3, nullable: true })
  verifiedAt: Date | null;

  /** When signals of it were last dropped before they were delivered; null: never. */
  @Column({ type: 'timestamptz', name: 'dropped_at', precision: 3, nullable: true })
  droppedAt: Date | null;

  /** The algorithm that signs its SETs; that of the default has a key always. */
  @Column('text', { default: 'RS256' })
  algorithm: JwtAlgorithm;

  /** The Authorization header of pushes, sealed; null: they have none. No answer and no log shows it. */
  @Column('bytea', { name: 'push_authorization', nullable: true })
  pushAuthorization?: Buffer | null;

  /** The turn of the replica that pushes the stream, until `pushLease`. */
  @Column('uuid', { name: 'push_holder', nullable: true })
  pushHolder?: string | null;

  @Column({ type: 'timestamptz', name: 'push_lease', precision: 3, nullable: true })
  pushLease?: Date | null;

  /** No push before this time; null: at once. */
  @Column({ type: 'timestamptz', name: 'push_retry_at', precision: 3, nullable: true })
  pushRetryAt?: Date | null;

  /** Since when no push succeeded; null: the last one did, or there was none. */
  @Column({ type: 'timestamptz', name: 'push_failing_since', precision: 3, nullable: true })
  pushFailingSince?: Date | null;

  /** How many pushes failed in a row. */
  @Column('integer', { name: 'push_failures', default: 0 })
  pushFailures?: number;

  /** Why the last push failed; null: it did not. */
  @Column('text', { name: 'push_failure', nullable: true })
  pushFailure?: string | null;
}
