import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { PushFiles } from '../src/push/push-files.js';
import { AuditLog } from './support/audit-log.js';
import { requireStatus } from './support/ceremonies.js';
import { accept, type Behaviour } from './support/push-receiver.js';
import { AUDIENCE, ISSUER, Pushing, STREAM } from './support/pushing.js';
import { type Replica, toSpiffeId } from './support/service.js';
import { until } from './support/until.js';

let pushing: Pushing;
beforeAll(async () => {
  pushing = await Pushing.start();
});
afterAll(() => pushing.stop());
beforeEach(() => pushing.open());
afterEach(() => pushing.close());

describe('a service with receivers of pushes', () => {
  it('offers push besides poll', async () => {
    const { client } = pushing.service;
    const answer = await client.call('operator', 'GET', '/.well-known/ssf-configuration');
    const methods = ['urn:ietf:rfc:8936', 'urn:ietf:rfc:8935'];
    expect(requireStatus(answer, 200)).toMatchObject({ delivery_methods_supported: methods });
  });
});

describe('RFC 8935 §2.1 Transmitting a SET', () => {
  it('posts one SET as application/secevent+jwt over TLS, with our certificate', async () => {
    await pushing.openStream();
    const [id] = await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(pushing.receiver.received).toMatchObject([
      {
        path: '/events',
        headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json' },
        header: { typ: 'secevent+jwt', alg: 'RS256' },
        claims: { iss: ISSUER, aud: AUDIENCE, jti: id, txn: 'txn-1' },
        sender: 'auth-service',
      },
    ]);
    expect(pushing.receiver.received[0]!.headers).not.toHaveProperty('authorization');
  });

  it('signs it with a published key', async () => {
    await pushing.openStream();
    await pushing.signal('ada');
    await pushing.untilDelivered();
    const keys = requireStatus(
      await pushing.service.client.call<JSONWebKeySet>('operator', 'GET', '/v1/signals/jwks'),
      200,
    );
    const options = { issuer: ISSUER, audience: AUDIENCE, typ: 'secevent+jwt' };
    await expect(
      jwtVerify(pushing.receiver.received[0]!.token, createLocalJWKSet(keys), options),
    ).resolves.toBeDefined();
  });
});

describe('RFC 8935 §2.2 Success Response', () => {
  it('takes 202 as the receipt of the SET, and deletes it', async () => {
    await pushing.openStream();
    const ids = await pushing.signal('ada', 'grace', 'ada');
    await pushing.untilDelivered();
    expect([...pushing.receiver.ids].sort()).toEqual([...ids].sort());
  });

  it.each([200, 204])('takes %i for no receipt, and sends the SET again', async (status) => {
    pushing.receiver.behaviour = (response) => void response.writeHead(status).end();
    await pushing.openStream();
    const [id] = await pushing.signal('ada');
    await until(() => pushing.receiver.ids.length > 1);
    pushing.receiver.behaviour = accept;
    await pushing.untilDelivered();
    expect(new Set(pushing.receiver.ids)).toEqual(new Set([id]));
  });
});

const refuse =
  (err: unknown, status = 400): Behaviour =>
  (response) => {
    const body = JSON.stringify({ err, description: 'what a receiver writes' });
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  };

describe('RFC 8935 §2.3 and §2.4 Failure Response and its codes', () => {
  it('drops a SET that the receiver cannot read (invalid_request), and records that', async () => {
    pushing.receiver.behaviour = refuse('invalid_request');
    await pushing.openStream();
    const [id] = await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toEqual([id]);
    const audit = new AuditLog(pushing.service.client);
    const event = await until(async () => (await audit.events({ type: 'signal-stream.drop' }))[0]);
    expect(event).toMatchObject({ status_code: 'push-refused', unmapped: { jti: id, stream_id: STREAM } });
    expect(JSON.stringify(event)).not.toContain('what a receiver writes');
  });

  it.each(['invalid_key', 'invalid_issuer', 'invalid_audience', 'authentication_failed', 'access_denied'])(
    'keeps a SET that the receiver does not take now (%s), and sends it again',
    async (code) => {
      pushing.receiver.behaviour = refuse(code);
      await pushing.openStream();
      await pushing.signal('ada');
      expect(await pushing.untilFailing()).toBe(code);
      expect(await pushing.countSignals()).toBe(1);
      pushing.receiver.behaviour = accept;
      await pushing.untilDelivered();
      await until(async () => (await pushing.readStream()).push_failures === 0);
      expect(await pushing.readStream()).toMatchObject({ push_failure: null, status: 'enabled' });
    },
  );

  it.each<[string, Behaviour, string]>([
    ['another code', refuse('out_of_tea'), 'the receiver answered 400'],
    ['no JSON', (response) => void response.writeHead(400).end('<html>'), 'the receiver answered 400'],
    ['a number as code', refuse(7), 'the receiver answered 400'],
    ['the code of a SET in another status', refuse('invalid_request', 403), 'the receiver answered 403'],
    ['500', (response) => void response.writeHead(500).end(), 'the receiver answered 500'],
    ['404', (response) => void response.writeHead(404).end(), 'the receiver answered 404'],
  ])('sends a SET again after %s, and shows nothing that the receiver wrote', async (_, behaviour, failure) => {
    pushing.receiver.behaviour = behaviour;
    await pushing.openStream();
    await pushing.signal('ada');
    expect(await pushing.untilFailing()).toBe(failure);
    pushing.receiver.behaviour = accept;
    await pushing.untilDelivered();
  });

  it('waits as long as Retry-After says after 429', async () => {
    pushing.hasten(pushing.service, { maxBackoffMs: 5_000 });
    let first = 0;
    pushing.receiver.behaviour = (response) => {
      first = performance.now();
      pushing.receiver.behaviour = accept;
      response.writeHead(429, { 'retry-after': '2' }).end();
    };
    await pushing.openStream();
    await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(performance.now() - first).toBeGreaterThan(1_900);
  });
});

describe('the order of pushes', () => {
  it('is that of the changes for each user, while other users do not wait', async () => {
    let answered = 0;
    pushing.receiver.behaviour = (response) => {
      answered += 1;
      setTimeout(() => void response.writeHead(202).end(), (answered % 5) * 10);
    };
    const users = Array.from({ length: 60 }, (_, index) => `user-${String(index % 7)}`);
    const ids = await pushing.signal(...users);
    await pushing.openStream();
    await pushing.untilDelivered();
    for (const user of new Set(users)) {
      const expected = ids.filter((_, index) => users[index] === user);
      expect(pushing.receiver.ids.filter((id) => expected.includes(id))).toEqual(expected);
    }
    expect(pushing.receiver.mostRunning).toBeGreaterThan(1);
    expect(pushing.receiver.mostRunning).toBeLessThanOrEqual(7);
  });

  it('is kept across a failure: nothing of the user overtakes', async () => {
    const ids = await pushing.signal('ada', 'ada', 'ada');
    let failed = false;
    pushing.receiver.behaviour = (response, { claims }) => {
      const fails = claims.jti === ids[1] && !failed;
      failed ||= fails;
      response.writeHead(fails ? 503 : 202).end();
    };
    await pushing.openStream();
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toEqual([ids[0], ids[1], ids[1], ids[2]]);
  });
});

describe('two replicas', () => {
  let other: Replica;
  beforeAll(async () => {
    other = await pushing.startReplica();
    pushing.hasten(other);
  });
  afterAll(() => other.stop());

  it('send each SET once, and never two of a user at once', async () => {
    await other.running.app.get(PushFiles).reload();
    pushing.receiver.behaviour = (response) => {
      setTimeout(() => void response.writeHead(202).end(), 5);
    };
    await pushing.openStream();
    const ids: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      ids.push(...(await pushing.signal('ada', 'ada', 'ada')));
      await sleep(round * 3);
    }
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toEqual(ids);
    expect(pushing.receiver.mostRunning).toBe(1);
  });
});

describe('a stream whose pushes have failed for too long', () => {
  it('is paused and holds its signals; its state, the metrics and the audit log say so', async () => {
    pushing.hasten(pushing.service, { deadAfterMs: 300 });
    pushing.receiver.behaviour = (response) => void response.writeHead(503).end();
    await pushing.openStream();
    const [id] = await pushing.signal('ada');
    const stream = await until(async () => {
      const now = await pushing.readStream();
      return now.status === 'paused' && now;
    });
    expect(stream.status_reason).toBe('push failed: the receiver answered 503');
    const held = await pushing.service.sql<{ id: string; kind: string; facts: object }>(
      'SELECT * FROM signal ORDER BY seq',
    );
    expect(held).toMatchObject([
      { id, kind: 'revoke' },
      { kind: 'stream-updated', facts: { status: 'paused', reason: 'push failed: the receiver answered 503' } },
    ]);
    expect(await pushing.service.readMetric('passkey_signal_push_paused_streams_total')).toBeGreaterThan(0);
    const audit = new AuditLog(pushing.service.client);
    const event = await until(async () => (await audit.events({ type: 'signal-stream.update' }))[0]);
    expect(event).toMatchObject({ status_code: 'push-failed', unmapped: { stream_id: STREAM, status: 'paused' } });

    pushing.receiver.behaviour = accept;
    const before = pushing.receiver.ids.length;
    await sleep(200);
    expect(pushing.receiver.ids.length).toBe(before);
    await pushing.service.sql(`UPDATE signal_stream SET status = 'enabled'`);
    await pushing.untilDelivered();
    expect(pushing.receiver.ids.slice(before).sort()).toEqual(held.map((row) => row.id).sort());
  });
});

describe('a stream that the access policy does not cover', () => {
  it('gets no signal of a relying party that its owner may not hear of, whatever its row says', async () => {
    await pushing.openStream({ relying_parties: null });
    await pushing.signalOf('shop.example.com', 'ada');
    const ids = await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toEqual(ids);
  });

  it('gets nothing if its owner may not receive signals, keeps its signals, and says why', async () => {
    await pushing.openStream({ owner: toSpiffeId('operator') });
    await pushing.signal('ada');
    expect(await pushing.untilFailing()).toBe('the access policy does not let the owner of the stream receive signals');
    expect([pushing.receiver.ids, await pushing.countSignals()]).toEqual([[], 1]);
  });
});

describe('a service that stops', () => {
  it('lets a running push end, and begins no other', async () => {
    pushing.hasten(pushing.service, { turnMs: 3_600_000 });
    await sleep(100);
    const other = await pushing.startReplica();
    pushing.hasten(other);
    pushing.receiver.behaviour = (response) => {
      setTimeout(() => void response.writeHead(202).end(), 300);
    };
    await pushing.openStream();
    await pushing.signal('ada', 'ada');
    await until(() => pushing.receiver.ids.length === 1);
    await other.stop();
    expect([pushing.receiver.ids.length, await pushing.countSignals()]).toEqual([1, 1]);
  });
});
