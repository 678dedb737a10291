import { Injectable } from '@nestjs/common';
import { createMalformedProblem } from '../http/problem.js';
import { PushSender } from '../push/push-sender.js';
import { AuthorizationSeal } from './authorization-seal.js';
import type { DeliveryDto } from './dto/stream.dto.js';
import { POLL, PUSH, type StreamEntity } from './stream.entity.js';

/** How a stream is delivered. A change of it forgets what failed before. */
export type ChosenDelivery = Pick<
  StreamEntity,
  | 'deliveryMethod'
  | 'endpointUrl'
  | 'pushAuthorization'
  | 'pushRetryAt'
  | 'pushFailures'
  | 'pushFailingSince'
  | 'pushFailure'
>;

const UNTRIED = { pushRetryAt: null, pushFailures: 0, pushFailingSince: null, pushFailure: null } as const;

/** Decides how a stream may be delivered (SSF 1.0 §6.1). */
@Injectable()
export class Deliveries {
  constructor(
    private readonly sender: PushSender,
    private readonly seal: AuthorizationSeal,
  ) {}

  /**
   * Reads what a receiver wants; without anything the stream is polled.
   *
   * @param present the stream before the change: a push to the same endpoint keeps its header if none is given. A stream never shows
   *   the header, so a receiver that sends back what it has read does not lose it.
   * @throws Problem request-malformed
   */
  choose(streamId: string, wanted: DeliveryDto | undefined, present?: StreamEntity): ChosenDelivery {
    if (wanted === undefined || wanted.method === POLL)
      return { deliveryMethod: POLL, endpointUrl: null, pushAuthorization: null, ...UNTRIED };
    if (!this.sender.isConfigured)
      throw createMalformedProblem('is not offered: this service is polled (urn:ietf:rfc:8936)', '/delivery/method');
    const { endpoint_url: endpointUrl, authorization_header: header } = wanted;
    if (endpointUrl === undefined) throw createMalformedProblem('is missing', '/delivery/endpoint_url');
    const objection = this.sender.findObjection(endpointUrl);
    if (objection !== undefined) throw createMalformedProblem(objection, '/delivery/endpoint_url');
    const kept = present?.endpointUrl === endpointUrl ? (present.pushAuthorization ?? null) : null;
    const pushAuthorization = header === undefined ? kept : this.seal.seal({ id: streamId, endpointUrl }, header);
    return { deliveryMethod: PUSH, endpointUrl, pushAuthorization, ...UNTRIED };
  }
}
