import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import { CREDENTIAL_CHANGE } from '../../src/signals/event-types.js';
import { RP_ID } from '../contenders/contender.js';
import { Connection, type Target } from '../load/connection.js';
import { quantile } from '../load/latency.js';
import { userOf } from './moved-lines.js';

/** Connections that make changes. */
const WRITERS = 8;
/** Milliseconds that the poller waits for what is left. */
const PATIENCE = 10_000;

export interface Heard {
  readonly changes: number;
  readonly seconds: number;
  /** Milliseconds from the answer of a change to its SET in the receiver's hands. */
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
}

/** Changes passkeys at a constant rate, by suspending the passkey of another user each time, while a receiver polls. */
export async function measureSignals(target: Target, changes: number, seconds: number): Promise<Heard> {
  const poller = await Connection.open(target);
  const events = [CREDENTIAL_CHANGE];
  const asked = { delivery: { method: 'urn:ietf:rfc:8936' }, events_requested: events };
  const { body: stream } = await poller.call<{ stream_id: string }>('POST', '/v1/signals/streams', asked);
  const [made, heard] = [new Map<string, number>(), new Map<string, number>()];
  const ended = new AbortController();
  const polling = poll(poller, `/v1/signals/poll/${stream.stream_id}`, heard, ended.signal);
  const ids = await credentialsOf(target, changes);
  const started = performance.now();
  const spacing = (seconds * 1_000) / changes;
  const write = async (writer: number): Promise<void> => {
    let connection = await Connection.open(target);
    for (let index = writer; index < ids.length; index += WRITERS) {
      const wait = started + index * spacing - performance.now();
      if (wait > 0) await sleep(wait);
      connection = await connection.usable();
      await connection.call('POST', `/v1/credentials/${ids[index]!}/suspend`, { reason: 'requested-by-user' });
      made.set(userOf(index), performance.now());
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  const took = (performance.now() - started) / 1_000;
  const until = performance.now() + PATIENCE;
  while (heard.size < made.size && performance.now() < until) await sleep(100);
  ended.abort();
  await polling;
  const waits = [...made].flatMap(([user, at]) => (heard.has(user) ? [heard.get(user)! - at] : []));
  const sorted = Float64Array.from(waits).sort();
  const times = { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
  return { changes: made.size, seconds: took, ...times, lost: made.size - waits.length };
}

async function poll(poller: Connection, path: string, heard: Map<string, number>, ended: AbortSignal): Promise<void> {
  let ack: string[] = [];
  let connection = poller;
  while (!ended.aborted) {
    connection = await connection.usable();
    const { body } = await connection.call<{ sets: Record<string, string> }>('POST', path, { ack, maxEvents: 500 });
    ack = Object.keys(body.sets);
    for (const set of Object.values(body.sets)) {
      const { sub_id: subject } = decodeJwt<{ sub_id: { sub: string } }>(set);
      heard.set(subject.sub, heard.get(subject.sub) ?? performance.now());
    }
  }
  connection.close();
}

async function credentialsOf(target: Target, count: number): Promise<string[]> {
  const connection = await Connection.open(target);
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const path = `/v1/credentials?rpId=${RP_ID}&userId=${userOf(index)}`;
    const { body } = await connection.call<{ data: { id: string }[] }>('GET', path);
    ids.push(body.data[0]!.id);
  }
  connection.close();
  return ids;
}
