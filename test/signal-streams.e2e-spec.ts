import { generateKeyPairSync } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { StreamUpkeep } from '../src/signals/stream-upkeep.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { CHANGE, COMPROMISE, Receiver, STREAM_UPDATED, type StreamBody } from './support/receiver.js';
import { type Replica, TestService, toSpiffeId } from './support/service.js';

const ISSUER = 'https://passkeys.bank.example';
const UNKNOWN = makeProblem(404, 'stream-unknown');
const MALFORMED = makeProblem(400, 'request-malformed');

const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:read, passkeys:manage, events:manage, events:receive]
  - id: ${toSpiffeId('fraud')}
    permissions: [events:manage, events:receive]
    relyingParties: [mine.example.com]
    signalAudience: https://fraud.bank.example
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:write, passkeys:erase]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read]
`;

const P256_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });

let service: TestService;
let other: Replica;
let mine: Ceremonies<string>;
let theirs: Ceremonies<string>;
beforeAll(async () => {
  service = await TestService.start({
    accessPolicy: POLICY,
    identities: ['fraud'],
    prepare: ({ directory }) => appendFile(join(dirname(directory), 'signal.key'), P256_KEY),
    env: { PASSKEY_SIGNAL_ISSUER: ISSUER, PASSKEY_SIGNAL_BACKLOG: '5', PASSKEY_SIGNAL_RETENTION: '24h' },
  });
  other = await service.startReplica();
  mine = await service.relyingParty('mine.example.com', { maxCredentialsPerUser: 64 });
  theirs = await service.relyingParty('theirs.example.com', { maxCredentialsPerUser: 64 });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});
afterEach(async () => {
  await service.sql('DELETE FROM signal_stream');
  await service.sql('DELETE FROM signal');
});

const call = <Body = StreamBody>(
  method: string,
  query = '',
  body?: unknown,
  identity = 'auth-service',
  endpoint = 'streams',
): Promise<Answer<Body>> => service.client.call(identity, method, `/v1/signals/${endpoint}${query}`, body);
const register = (at = mine, user = 'ada'): Promise<Credential> => at.registered(user, new Authenticator());

describe('SSF 1.0 §8.1.1.1: creating a stream', () => {
  it('answers 201 with what the transmitter supplies', async () => {
    const wanted = {
      events_requested: [CHANGE, 'urn:example:unknown'],
      description: 'fraud team',
      future: { of: 'SSF' },
    };
    const { stream_id: id, ...stream } = requireStatus(await call('POST', '', wanted, 'fraud'), 201);
    expect(stream).toEqual({
      iss: ISSUER,
      aud: 'https://fraud.bank.example',
      events_supported: [CHANGE, COMPROMISE],
      events_requested: wanted.events_requested,
      events_delivered: [CHANGE],
      delivery: { method: 'urn:ietf:rfc:8936', endpoint_url: `${ISSUER}/v1/signals/poll/${id}` },
      min_verification_interval: 10,
      inactivity_timeout: 4 * 24 * 3_600,
      signing_algorithm: 'RS256',
      description: 'fraud team',
    });
  });

  it('delivers every type by poll, with the SPIFFE ID as audience, if the receiver asks for nothing', async () => {
    expect((await call('POST', '', {})).body).toMatchObject({
      aud: toSpiffeId('auth-service'),
      events_delivered: [CHANGE, COMPROMISE],
      delivery: { method: 'urn:ietf:rfc:8936' },
    });
  });

  it('gives each stream an id and a poll endpoint of its own', async () => {
    const streams = [requireStatus(await call('POST', '', {}), 201), requireStatus(await call('POST', '', {}), 201)];
    expect(new Set(streams.map(({ stream_id }) => stream_id)).size).toBe(2);
    expect(new Set(streams.map(({ delivery }) => delivery.endpoint_url)).size).toBe(2);
    for (const { stream_id } of streams) expect(stream_id).toMatch(/^[A-Za-z0-9._~-]+$/);
  });

  it('delivers only the types of events_delivered', async () => {
    const [changes, compromises] = [
      await Receiver.create(service.client, 'auth-service', { events_requested: [CHANGE] }),
      await Receiver.create(service.client, 'auth-service', { events_requested: [COMPROMISE] }),
    ];
    await register();
    expect((await changes.drain()).map(({ type }) => type)).toEqual([CHANGE]);
    expect(await compromises.drain()).toEqual([]);
  });

  it('answers 409 beyond eight streams, also if they are created at once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => call('POST', '', {})));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array<number>(8).fill(201), ...Array<number>(4).fill(409)]);
    expect(await call('POST', '', {})).toMatchObject(makeProblem(409, 'stream-limit'));
  });

  it.each([
    { events_requested: 'all' },
    { events_requested: [1] },
    { events_requested: ['with space'] },
    { delivery: {} },
    { delivery: { method: 'urn:ietf:rfc:9999' } },
    { description: 'x'.repeat(257) },
    { description: '\u0000' },
  ])('answers 400 for %j, and creates nothing', async (wanted) => {
    expect(await call('POST', '', wanted)).toMatchObject(MALFORMED);
    expect((await call('GET')).body).toEqual([]);
  });
});

describe('SSF 1.0 §8.1.1.2: reading streams', () => {
  it('lists the streams of the caller alone, and none as an empty list', async () => {
    expect(await call('GET')).toMatchObject({ status: 200, body: [] });
    const { body: own } = await call('POST', '', {});
    await call('POST', '', {}, 'fraud');
    expect((await call('GET')).body).toEqual([own]);
    expect((await call('GET', `?stream_id=${own.stream_id}`)).body).toEqual(own);
  });

  it.each(['GET', 'PATCH', 'PUT', 'DELETE'])('answers 404 to %s for a stream of another identity', async (method) => {
    const { stream_id } = requireStatus(await call('POST', '', {}), 201);
    for (const id of [stream_id, 'nonsense', '0199a1b2-0000-7000-8000-000000000001']) {
      const isQuery = method === 'GET' || method === 'DELETE';
      const body = isQuery ? undefined : { stream_id: id };
      expect(await call(method, isQuery ? `?stream_id=${id}` : '', body, 'fraud')).toMatchObject(UNKNOWN);
    }
    expect((await call('GET')).body).toHaveLength(1);
  });
});

describe('SSF 1.0 §8.1.1.3 and §8.1.1.4: changing a stream', () => {
  it('changes with PATCH what is given, and resets with PUT what is missing', async () => {
    const { stream_id } = requireStatus(await call('POST', '', { description: 'a', events_requested: [CHANGE] }), 201);
    const patched = await call('PATCH', '', { stream_id, events_requested: [COMPROMISE] });
    expect(patched).toMatchObject({ status: 200, body: { description: 'a', events_delivered: [COMPROMISE] } });
    const replaced = requireStatus(await call('PUT', '', { stream_id, events_requested: [CHANGE] }), 200);
    expect(replaced).toMatchObject({ events_delivered: [CHANGE] });
    expect(replaced).not.toHaveProperty('description');
  });

  it('signs by the algorithm that the receiver names, if a key of the operator does', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service', { signing_algorithm: 'ES256' });
    expect(receiver.stream.signing_algorithm).toBe('ES256');
    await register();
    const [set] = await receiver.drain();
    expect(set!.header).toMatchObject({ alg: 'ES256' });
    const refused = await call<unknown>('PATCH', '', { stream_id: receiver.id, signing_algorithm: 'Ed25519' });
    expect(refused).toMatchObject({ status: 400, body: { invalid: [{ pointer: '/signing_algorithm' }] } });
    const kept = requireStatus(await call('PATCH', '', { stream_id: receiver.id, description: 'a' }), 200);
    expect(kept.signing_algorithm).toBe('ES256');
    const reset = requireStatus(await call('PUT', '', { stream_id: receiver.id }), 200);
    expect(reset.signing_algorithm).toBe('RS256');
  });

  it('takes back the whole configuration as it was read, and refuses another value of the transmitter', async () => {
    const stream = requireStatus(await call('POST', '', {}), 201);
    for (const method of ['PATCH', 'PUT']) {
      expect(await call(method, '', stream)).toMatchObject({ status: 200, body: stream });
      for (const wrong of [
        { iss: 'https://evil.example' },
        { aud: 'x' },
        { events_delivered: [CHANGE] },
        { min_verification_interval: 1 },
        { inactivity_timeout: 1 },
        { delivery: { ...stream.delivery, endpoint_url: 'https://evil.example' } },
      ])
        expect(await call(method, '', { ...stream, ...wrong })).toMatchObject(MALFORMED);
    }
  });
});

describe('SSF 1.0 §8.1.1.3 and §8.1.1.4: events_delivered in a change', () => {
  it.each(['PATCH', 'PUT'])('is compared with its value before the change (%s)', async (method) => {
    const { stream_id } = requireStatus(await call('POST', '', { events_requested: [CHANGE] }), 201);
    const change = { stream_id, events_requested: [COMPROMISE] };
    expect(await call(method, '', { ...change, events_delivered: [COMPROMISE] })).toMatchObject(MALFORMED);
    expect((await call('GET', `?stream_id=${stream_id}`)).body).toMatchObject({ events_delivered: [CHANGE] });
    const changed = await call(method, '', { ...change, events_delivered: [CHANGE] });
    expect(changed).toMatchObject({ status: 200, body: { events_delivered: [COMPROMISE] } });
  });
});

describe('SSF 1.0 §8.1.2: the status of a stream', () => {
  it('is read with its reason, and a change answers with the new one', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    const read = () => call<object>('GET', `?stream_id=${receiver.id}`, undefined, 'auth-service', 'status');
    expect(await read()).toMatchObject({ status: 200 });
    expect((await read()).body).toEqual({ stream_id: receiver.id, status: 'enabled' });
    const changed = { stream_id: receiver.id, status: 'paused', reason: 'maintenance' };
    expect(await receiver.manage('POST', 'status', changed)).toMatchObject({ status: 200, body: changed });
    expect((await read()).body).toEqual(changed);
  });
});

describe('SSF 1.0 §8.1.1.5: deleting a stream', () => {
  it('deletes what it has not delivered, and a second time it is unknown', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    await register();
    await receiver.delete();
    expect(await service.sql('SELECT FROM signal')).toEqual([]);
    expect(await receiver.poll()).toMatchObject(UNKNOWN);
    expect(await call('DELETE', `?stream_id=${receiver.id}`)).toMatchObject(UNKNOWN);
  });
});

describe('least privilege', () => {
  it('gives a receiver nothing of other relying parties', async () => {
    const receiver = await Receiver.create(service.client, 'fraud');
    await register(theirs);
    await register(mine);
    expect(await receiver.drain()).toMatchObject([{ claims: { sub_id: { iss: 'https://mine.example.com' } } }]);
    const subject = { format: 'iss_sub', iss: 'https://theirs.example.com', sub: 'ada' };
    const denied = makeProblem(403, 'relying-party-denied');
    expect(await receiver.manage('POST', 'subjects/remove', { subject })).toMatchObject(denied);
  });

  it('lets nobody poll, verify or change the status of a stream of another identity', async () => {
    const { id } = await Receiver.create(service.client, 'auth-service');
    const foreign = (path: string, body: object) => service.client.call('fraud', 'POST', `/v1/signals/${path}`, body);
    expect(await foreign(`poll/${id}`, { returnImmediately: true })).toMatchObject(UNKNOWN);
    expect(await foreign('status', { stream_id: id, status: 'disabled' })).toMatchObject(UNKNOWN);
    expect(await foreign('verification', { stream_id: id })).toMatchObject(UNKNOWN);
  });
});

describe('the events of streams', () => {
  it('name the stream, who changed it, and which subject it no longer hears of', async () => {
    const log = new AuditLog(service.client);
    const events = await log.collectDuring(async () => {
      const receiver = await Receiver.create(service.client, 'auth-service');
      await receiver.manage('POST', 'status', { status: 'paused', reason: 'maintenance' });
      const subject = { format: 'iss_sub', iss: 'https://mine.example.com', sub: 'nobody' };
      await receiver.manage('POST', 'subjects/remove', { subject });
      await receiver.delete();
    });
    const types = ['create', 'update', 'subject', 'delete'].map((type) => `signal-stream.${type}`);
    expect(events.map(({ metadata }) => metadata.event_code)).toEqual(types);
    expect(events[1]).toMatchObject({ unmapped: { status: 'paused', status_before: 'enabled' } });
  });
});

describe('replicas', () => {
  it('wake a poll that waits at another one', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    const waiting = receiver.at(other.client).poll({});
    await register();
    expect(Object.keys(requireStatus(await waiting, 200).sets)).toHaveLength(1);
  });

  it('write each signal of concurrent changes once, in the order of the changes of each passkey', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    const elsewhere = new Ceremonies(other.client, service.clock, 'auth-service', mine.rpId);
    const passkeys = await Promise.all([register(), register(elsewhere, 'grace')]);
    await receiver.drain();
    const names = Array.from({ length: 12 }, (_, index) => `name ${String(index)}`);
    for (const name of names) {
      await Promise.all(
        passkeys.map(({ id }, at) =>
          [service.client, other.client][at]!.call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name }),
        ),
      );
    }
    const sets = await receiver.drain();
    for (const user of ['ada', 'grace'])
      expect(sets.filter((set) => set.user === user).map(({ event }) => event['friendly_name'])).toEqual(names);
  });
});

describe('the bounds of the outbox', () => {
  const upkeep = (): Promise<void> => service.running.app.get(StreamUpkeep).run();
  const age = (table: string, column: string, by: string) =>
    service.sql(`UPDATE ${table} SET ${column} = ${column} - $1::interval`, [by]);
  const dropped = () => service.readMetric('passkey_signals_dropped_total');

  it('keep the newest signals of a stream, refuse no change, and tell the receiver of what is lost', async () => {
    const [receiver, before] = [await Receiver.create(service.client, 'auth-service'), await dropped()];
    const { id } = await register();
    for (let index = 0; index < 9; index += 1)
      requireStatus(
        await service.client.call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name: String(index) }),
        200,
      );
    await upkeep();
    const sets = await receiver.drain();
    expect(sets.slice(0, -1).map(({ event }) => event['friendly_name'])).toEqual(['4', '5', '6', '7', '8']);
    expect(sets.at(-1)).toMatchObject({ type: STREAM_UPDATED, event: { status: 'enabled' } });
    expect((await dropped()) - before).toBe(5);
    const [event] = await new AuditLog(service.client).events({ type: 'signal-stream.drop' });
    expect(event).toMatchObject({ unmapped: { stream_id: receiver.id, beyond: 5, expired: 0 } });
  });

  it('count the streams by their status, for the dashboard', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    const read = async (status: string): Promise<number> => {
      await upkeep();
      const text = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
      return Number(new RegExp(`^passkey_signal_streams\\{status="${status}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
    };
    const [enabled, paused] = [await read('enabled'), await read('paused')];
    await service.sql(`UPDATE signal_stream SET status = 'paused' WHERE id = $1`, [receiver.id]);
    expect([await read('enabled'), await read('paused')]).toEqual([enabled - 1, paused + 1]);
  });

  it('drop what is older than the retention, and nothing younger: a receiver that sleeps a day loses nothing', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    const { id } = await register();
    await age('signal', 'happened_at', '23 hours');
    await service.client.call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name: 'later' });
    await upkeep();
    expect((await receiver.peek()).map(({ event }) => event['change_type'])).toEqual(['create', 'update']);
    await age('signal', 'happened_at', '3 hours');
    await upkeep();
    const sets = await receiver.drain();
    expect(sets.map(({ event, type }) => event['change_type'] ?? type)).toEqual(['update', STREAM_UPDATED]);
  });

  it.each<[string, (receiver: Receiver<string>) => Promise<unknown>]>([
    ['polls', (receiver) => receiver.poll()],
    ['reads its stream', ({ id }) => call('GET', `?stream_id=${id}`)],
    ['asks for verification', (receiver) => receiver.manage('POST', 'verification')],
  ])('leave a stream alone whose receiver %s', async (_, use) => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    await age('signal_stream', 'active_at', `${String(receiver.stream.inactivity_timeout - 60)} seconds`);
    await use(receiver);
    await age('signal_stream', 'active_at', '120 seconds');
    await upkeep();
    expect(await service.sql('SELECT status FROM signal_stream')).toEqual([{ status: 'enabled' }]);
  });

  it('disable a stream whose receiver is gone, and tell it when it comes back (§8.1.5)', async () => {
    const receiver = await Receiver.create(service.client, 'auth-service');
    await register();
    await age('signal_stream', 'active_at', `${String(receiver.stream.inactivity_timeout + 60)} seconds`);
    await upkeep();
    await register();
    expect(await receiver.drain()).toMatchObject([{ type: STREAM_UPDATED, event: { status: 'disabled' } }]);
    const { body } = await service.client.call('auth-service', 'GET', `/v1/signals/status?stream_id=${receiver.id}`);
    expect(body).toMatchObject({ status: 'disabled', reason: 'the receiver was not heard of for 4 days' });
  });
});
