import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import type pg from 'pg';
import type { ServiceProcess } from '../../test/support/service-process.js';
import { CREDENTIAL_CHANGE } from '../../src/signals/event-types.js';

/** What a change is called in the log, and to receivers. */
const KINDS: Readonly<Record<string, string>> = {
  'credential.register': 'create',
  'credential.rename': 'update',
  'credential.suspend': 'update',
  'credential.reinstate': 'update',
  'credential.revoke': 'revoke',
};
/** The changes of each user's passkey, in the order of the log, each with the request that made it. */
const CHANGES = `
  SELECT credential.user_id AS "user", json_agg(json_build_array(type, event::json -> 'metadata' ->> 'correlation_uid') ORDER BY leaf_index) AS changes
    FROM audit_event JOIN audit_leaf ON event_id = audit_event.id JOIN credential ON credential.id = credential_uid
   WHERE type = ANY ($1) AND outcome = 'success' GROUP BY credential.user_id`;
const PAUSE_MS = 20;
/** A crash may have just been. */
const TRIES = 100;

interface Poll {
  readonly sets: Readonly<Record<string, string>>;
}

interface Claims {
  readonly txn: string;
  readonly sub_id: { readonly sub: string };
  readonly events: Readonly<Record<string, { readonly change_type: string }>>;
}

/** A receiver that outlives the service: it polls, and acknowledges what it has. */
export class SignalReceiver {
  /** The kinds and requests of each user's SETs, in the order in which they arrived first. */
  private readonly heard = new Map<string, string[]>();
  private readonly jtis = new Set<string>();
  private acknowledgeable: string[] = [];
  /** Deliveries of a SET that was there already. */
  repeats = 0;

  private readonly streamId: string;

  private constructor(streamId: string) {
    this.streamId = streamId;
  }

  static async subscribe({ client }: ServiceProcess): Promise<SignalReceiver> {
    const { status, body } = await client.call<{ stream_id: string }>('auth-service', 'POST', '/v1/signals/streams', {
      delivery: { method: 'urn:ietf:rfc:8936' },
      events_requested: [CREDENTIAL_CHANGE],
    });
    if (status !== 201) throw new Error(`the stream was refused: ${String(status)}, ${JSON.stringify(body)}`);
    return new SignalReceiver(body.stream_id);
  }

  get received(): number {
    return this.jtis.size;
  }

  async receive(service: ServiceProcess, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) if (!(await this.poll(service))) await sleep(PAUSE_MS);
  }

  /**
   * Receives what is left, and compares it with the changes of the log.
   *
   * @returns the contradictions
   */
  async check(service: ServiceProcess, database: pg.Pool): Promise<string[]> {
    for (let tries = 0; (await this.poll(service)) !== 0; tries += 1)
      if (tries === TRIES) return ['the receiver got no end of signals'];
    const { rows } = await database.query<{ user: string; changes: [string, string][] }>(CHANGES, [Object.keys(KINDS)]);
    const made = new Map(
      rows.map(({ user, changes }) => [user, changes.map(([type, txn]) => `${KINDS[type]!} ${txn}`)]),
    );
    return [...new Set([...made.keys(), ...this.heard.keys()])].flatMap((user) => {
      const [changes, signals] = [made.get(user) ?? [], this.heard.get(user) ?? []].map((list) => list.join());
      return changes === signals ? [] : [`${user}: the changes are ${changes!}, but the signals are ${signals!}`];
    });
  }

  /** @returns the number of SETs; undefined: no answer */
  private async poll({ client }: ServiceProcess): Promise<number | undefined> {
    const ack = this.acknowledgeable;
    const path = `/v1/signals/poll/${this.streamId}`;
    const answer = await client
      .call<Poll>('auth-service', 'POST', path, { ack, returnImmediately: true, maxEvents: 500 })
      .catch(() => undefined);
    if (answer?.status !== 200) return undefined;
    this.acknowledgeable = Object.keys(answer.body.sets);
    for (const [jti, set] of Object.entries(answer.body.sets)) this.take(jti, set);
    return this.acknowledgeable.length;
  }

  private take(jti: string, set: string): void {
    if (this.jtis.has(jti)) {
      this.repeats += 1;
      return;
    }
    this.jtis.add(jti);
    const { txn, sub_id: subject, events } = decodeJwt<Claims>(set);
    const changes = this.heard.get(subject.sub) ?? [];
    this.heard.set(subject.sub, changes);
    changes.push(`${events[CREDENTIAL_CHANGE]!.change_type} ${txn}`);
  }
}
