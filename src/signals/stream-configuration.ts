import { appendPointer, createMalformedProblem } from '../http/problem.js';
import type { ChosenDelivery } from './deliveries.js';
import type { ChangeStreamDto, CreateStreamDto, DeliveryDto } from './dto/stream.dto.js';
import { EVENTS_SUPPORTED } from './event-types.js';
import type { JwtAlgorithm } from '../signing-keys/sign-jwt.js';
import { POLL, type StreamEntity } from './stream.entity.js';

/** Seconds between two verification events that a receiver may ask for. */
export const MIN_VERIFICATION_INTERVAL = 10;

/** A stream as its receiver sees it (SSF 1.0 §8.1.1). */
export interface StreamConfiguration {
  readonly stream_id: string;
  readonly iss: string;
  readonly aud: string;
  readonly events_supported: readonly string[];
  readonly events_requested: readonly string[];
  readonly events_delivered: readonly string[];
  readonly delivery: { readonly method: string; readonly endpoint_url: string };
  readonly min_verification_interval: number;
  readonly inactivity_timeout: number;
  readonly signing_algorithm: string;
  readonly description?: string;
}

/** What a receiver decides of a stream. */
type Chosen = Pick<StreamEntity, 'eventsRequested' | 'eventsDelivered' | 'description' | 'algorithm'> & ChosenDelivery;
/** Finds the algorithm that a receiver names. @throws Problem request-malformed */
type ChooseAlgorithm = (wanted: string | undefined) => JwtAlgorithm;
type ChooseDelivery = (wanted: DeliveryDto | undefined) => ChosenDelivery;

/**
 * @param issuer of the transmitter, with which the URLs of the service begin
 * @param inactivitySeconds after which a stream that nobody uses is disabled
 */
export function describeStream(stream: StreamEntity, issuer: string, inactivitySeconds: number): StreamConfiguration {
  const { id, aud, eventsRequested, eventsDelivered, deliveryMethod, endpointUrl, description, algorithm } = stream;
  return {
    stream_id: id,
    iss: issuer,
    aud,
    events_supported: EVENTS_SUPPORTED,
    events_requested: eventsRequested,
    events_delivered: eventsDelivered,
    delivery: { method: deliveryMethod, endpoint_url: endpointUrl ?? `${issuer}/v1/signals/poll/${id}` },
    min_verification_interval: MIN_VERIFICATION_INTERVAL,
    inactivity_timeout: inactivitySeconds,
    signing_algorithm: algorithm,
    ...(description !== null && { description }),
  };
}

/**
 * Reads what a receiver supplies. A stream that asks for no types gets all of them; one that names no delivery is polled
 * (§8.1.1.1).
 *
 * @throws Problem request-malformed
 */
export function chooseAll(
  { events_requested: events, delivery, description, signing_algorithm: algorithm }: CreateStreamDto,
  chooseDelivery: ChooseDelivery,
  chooseAlgorithm: ChooseAlgorithm,
): Chosen {
  return {
    ...chooseEvents(events ?? EVENTS_SUPPORTED),
    ...chooseDelivery(delivery),
    description: description || null,
    algorithm: chooseAlgorithm(algorithm),
  };
}

/** Reads what a receiver supplies of a change; what it leaves out stays (§8.1.1.3). @throws Problem request-malformed */
export function chooseSome(
  { events_requested: events, delivery, description, signing_algorithm: algorithm }: CreateStreamDto,
  chooseDelivery: ChooseDelivery,
  chooseAlgorithm: ChooseAlgorithm,
): Partial<Chosen> {
  return {
    ...(events && chooseEvents(events)),
    ...(delivery && chooseDelivery(delivery)),
    ...(description !== undefined && { description: description || null }),
    ...(algorithm !== undefined && { algorithm: chooseAlgorithm(algorithm) }),
  };
}

/** §8.1.1: types that the service does not know are kept and ignored. */
function chooseEvents(requested: readonly string[]): Pick<Chosen, 'eventsRequested' | 'eventsDelivered'> {
  const eventsRequested = [...new Set(requested)];
  return { eventsRequested, eventsDelivered: EVENTS_SUPPORTED.filter((type) => eventsRequested.includes(type)) };
}

/**
 * Demands that what the transmitter supplies is as it is before the change, where a receiver sends it back (§8.1.1.3).
 *
 * @throws Problem request-malformed
 */
export function demandSupplied(given: ChangeStreamDto, present: StreamConfiguration): void {
  const members = [
    'iss',
    'aud',
    'events_supported',
    'events_delivered',
    'min_verification_interval',
    'inactivity_timeout',
  ] as const;
  for (const name of members) {
    if (given[name] !== undefined && !isSame(given[name], present[name]))
      throw createMalformedProblem('is supplied by the transmitter, and has another value', appendPointer('', name));
  }
  const { delivery } = given;
  const isPolled = delivery?.method === POLL && present.delivery.method === POLL;
  if (isPolled && delivery.endpoint_url !== undefined && delivery.endpoint_url !== present.delivery.endpoint_url)
    throw createMalformedProblem('is supplied by the transmitter, and has another value', '/delivery/endpoint_url');
}

/** An `aud` may be a text or a list of one (RFC 7519 §4.1.3), and the order of types says nothing. */
function isSame(given: unknown, present: unknown): boolean {
  const list = (value: unknown): string =>
    JSON.stringify((Array.isArray(value) ? [...(value as unknown[])] : [value]).sort());
  return list(given) === list(present);
}
