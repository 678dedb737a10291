import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { AuthorizationSeal } from '../../../src/signals/authorization-seal.js';
import { CompromisedModels } from '../../../src/signals/compromised-models.js';
import { CompromisedModelsRepository } from '../../../src/signals/compromised-models.repository.js';
import { PushRepository } from '../../../src/signals/push.repository.js';
import { StreamPusher } from '../../../src/signals/push-stream.js';
import { StreamUpkeep } from '../../../src/signals/stream-upkeep.js';
import { PUSH } from '../../../src/signals/stream.entity.js';
import { requireStatus } from '../ceremonies.js';
import type { Answer, Client } from '../client.js';
import { CHANGE, COMPROMISE, Receiver } from '../receiver.js';

/** The identities that receive signals. */
export const RECEIVERS = ['fraud', 'support'];

const MODEL = 'cb69481e-8ff7-4039-93ec-0a2729a154a8';
const ENDPOINT = 'https://fraud.example/events';

/** The service whose streams these are. */
interface Transmitter {
  readonly client: Client;
  readonly owner: pg.Client;
  of<T>(type: { readonly prototype: T }): T;
}

/** Streams of every kind, with signals that the service wrote, and all that reads them. */
export class SeededStreams {
  private readonly polled: Receiver<string>[] = [];

  constructor(private readonly transmitter: Transmitter) {}

  /** Streams that are polled, and one that is pushed to a receiver that nobody allows; users whom the receivers removed. */
  async create(rpId: string): Promise<void> {
    const { client, owner } = this.transmitter;
    await this.transmitter.of(StreamUpkeep).beforeApplicationShutdown();
    await this.transmitter.of(CompromisedModels).beforeApplicationShutdown();
    const members = { events_requested: [CHANGE, COMPROMISE] };
    for (const name of RECEIVERS) {
      const receiver = await Receiver.create(client, name, members);
      this.polled.push(receiver);
      const subject = { format: 'iss_sub', iss: `https://${rpId}`, sub: `removed-by-${name}` };
      requireStatus(await receiver.manage('POST', 'subjects/remove', { subject }), 204);
    }
    const { id } = await Receiver.create(client, 'fraud', members);
    await owner.query(
      'UPDATE signal_stream SET delivery_method = $2, endpoint_url = $3, push_authorization = $4 WHERE id = $1',
      [
        ...[id, PUSH, ENDPOINT],
        this.transmitter.of(AuthorizationSeal).seal({ id, endpointUrl: ENDPOINT }, 'Bearer a-secret'),
      ],
    );
    const other = randomUUID();
    const found = new Map([MODEL, other].map((aaguid) => [aaguid, 'USER_VERIFICATION_BYPASS']));
    await this.transmitter.of(CompromisedModelsRepository).see(1, found);
  }

  /** One receiver acknowledges a signal, and the other one pauses its stream. Signals of a model are written. */
  async change(now: Date): Promise<void> {
    const [first, second] = this.polled;
    const [received] = await first!.peek({ maxEvents: 1 });
    requireStatus(await first!.poll({ ack: [received!.claims.jti], maxEvents: 0 }), 200);
    requireStatus(await second!.manage('POST', 'status', { status: 'paused', reason: 'maintenance' }), 200);
    await this.transmitter.of(CompromisedModelsRepository).writeBatch(now);
  }

  /**
   * Reads, keeps and sends the signals as they are now.
   *
   * @throws Error if the service fails by what SQL has changed
   */
  async deliver(now: Date): Promise<void> {
    for (const receiver of this.polled) {
      requireNoFailure(await receiver.poll());
      requireNoFailure(await receiver.manage('POST', 'verification', { state: 'now' }));
    }
    await this.transmitter.of(StreamUpkeep).run();
    await this.transmitter.of(CompromisedModelsRepository).writeBatch(now);
    const holder = randomUUID();
    const { signal } = new AbortController();
    for (const stream of await this.transmitter.of(PushRepository).takeStreams(holder, 1_000)) {
      await this.transmitter.of(StreamPusher).push(stream, holder, { soon: signal, now: signal });
    }
  }
}

function requireNoFailure({ status, body }: Answer<unknown>): void {
  if (status >= 500) throw new Error(JSON.stringify(body));
}
