import { decodeProtectedHeader, decodeJwt } from 'jose';
import { requireStatus } from './ceremonies.js';
import type { Answer, Client } from './client.js';

export const CHANGE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change';
export const COMPROMISE = 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise';
export const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification';
export const STREAM_UPDATED = 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated';

export interface StreamBody {
  stream_id: string;
  iss: string;
  aud: string;
  events_supported: string[];
  events_requested: string[];
  events_delivered: string[];
  delivery: { method: string; endpoint_url: string };
  min_verification_interval: number;
  inactivity_timeout: number;
  signing_algorithm: string;
  description?: string;
}

export interface PollBody {
  sets: Record<string, string>;
  moreAvailable: boolean;
}

/** A security event token as a receiver reads it. */
export interface ReceivedSet {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown> & { jti: string };
  /** Its only event. */
  readonly type: string;
  readonly event: Record<string, unknown>;
  /** The user, if it is about one. */
  readonly user: string | undefined;
}

/** A receiver of Shared Signals with one stream, which it polls. */
export class Receiver<Identity extends string> {
  private constructor(
    private readonly client: Client<Identity>,
    private readonly caller: Identity,
    readonly stream: StreamBody,
  ) {}

  static async create<Identity extends string>(
    client: Client<Identity>,
    caller: Identity,
    members: Record<string, unknown> = {},
  ): Promise<Receiver<Identity>> {
    const answer = await client.call<StreamBody>(caller, 'POST', '/v1/signals/streams', members);
    return new Receiver(client, caller, requireStatus(answer, 201));
  }

  get id(): string {
    return this.stream.stream_id;
  }

  /** The same stream, by way of another replica. */
  at(client: Client<Identity>): Receiver<Identity> {
    return new Receiver(client, this.caller, this.stream);
  }

  manage<Body>(method: string, path: string, members: Record<string, unknown> = {}): Promise<Answer<Body>> {
    return this.client.call(this.caller, method, `/v1/signals/${path}`, { stream_id: this.id, ...members });
  }

  poll(members: Record<string, unknown> = { returnImmediately: true }): Promise<Answer<PollBody>> {
    return this.client.call(this.caller, 'POST', `/v1/signals/poll/${this.id}`, members);
  }

  /** Polls once, and acknowledges nothing. */
  async peek(members: Record<string, unknown> = {}): Promise<ReceivedSet[]> {
    const { sets } = requireStatus(await this.poll({ returnImmediately: true, ...members }), 200);
    return Object.values(sets).map(readSet);
  }

  /** Polls until there is no more, and acknowledges everything. */
  async drain(): Promise<ReceivedSet[]> {
    const received: ReceivedSet[] = [];
    let ack: string[] = [];
    for (;;) {
      const { sets } = requireStatus(await this.poll({ returnImmediately: true, maxEvents: 1_000, ack }), 200);
      ack = Object.keys(sets);
      if (ack.length === 0) return received;
      received.push(...Object.values(sets).map(readSet));
    }
  }

  async delete(): Promise<void> {
    requireStatus(await this.client.call(this.caller, 'DELETE', `/v1/signals/streams?stream_id=${this.id}`), 204);
  }
}

export function readSet(token: string): ReceivedSet {
  const claims = decodeJwt(token) as ReceivedSet['claims'] & { events: Record<string, Record<string, unknown>> };
  const [[type, event] = ['', {}]] = Object.entries(claims.events);
  const { sub } = claims['sub_id'] as { sub?: string };
  return { header: { ...decodeProtectedHeader(token) }, claims, type, event, user: sub };
}
