import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { Pushing } from './support/pushing.js';
import { until } from './support/until.js';

const STREAMS = '/v1/signals/streams';
const METHOD = 'urn:ietf:rfc:8935';
const HEADER = 'Bearer a-secret-of-the-receiver';
const MALFORMED = makeProblem(400, 'request-malformed');

interface Stream {
  readonly stream_id: string;
  readonly delivery: object;
}

let pushing: Pushing;
beforeAll(async () => {
  pushing = await Pushing.start();
});
afterAll(() => pushing.stop());
beforeEach(() => pushing.open());
afterEach(() => pushing.close());

const call = <Body = Stream>(method: string, path: string, body?: unknown): Promise<Answer<Body>> =>
  pushing.service.client.call<Body>('auth-service', method, path, body);
const endpoint = (path = '/events'): string => `https://localhost:${String(pushing.receiver.port)}${path}`;
const create = (delivery: object): Promise<Answer<Stream>> => call('POST', STREAMS, { delivery });

/** Has the receiver get a verification event, and returns the Authorization header of its push. */
async function verify(stream: Stream): Promise<string | undefined> {
  const before = pushing.receiver.received.length;
  await pushing.service.sql('UPDATE signal_stream SET verified_at = NULL');
  const answer = await call('POST', '/v1/signals/verification', { stream_id: stream.stream_id, state: 'test' });
  requireStatus(answer, 204);
  return (await until(() => pushing.receiver.received[before])).headers.authorization;
}

describe('SSF 1.0 §6.1.1 Push Delivery using HTTP', () => {
  it('pushes what happens to the endpoint of the stream, with its authorization header', async () => {
    const { stream_id: id, delivery } = requireStatus(
      await create({ method: METHOD, endpoint_url: endpoint(), authorization_header: HEADER }),
      201,
    );
    expect(delivery).toEqual({ method: METHOD, endpoint_url: endpoint() });
    const login = await pushing.service.relyingParty('login.example.com');
    const { id: passkey } = await login.registered('ada', new Authenticator());
    requireStatus(await call('POST', `/v1/credentials/${passkey}/revoke`, { reason: 'lost' }), 200);
    await until(() => pushing.receiver.received.length === 2);
    const events = pushing.receiver.received.map(
      ({ claims }) => Object.values(claims['events'] as object)[0] as object,
    );
    expect(events).toMatchObject([{ change_type: 'create' }, { change_type: 'revoke' }]);
    expect(pushing.receiver.received.map(({ headers }) => headers.authorization)).toEqual([HEADER, HEADER]);
    await pushing.untilDelivered();
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('shows the header in no answer, no event and no row', async () => {
    const delivery = { method: METHOD, endpoint_url: endpoint(), authorization_header: HEADER };
    const made = await create(delivery);
    const read = await call('GET', `${STREAMS}?stream_id=${made.body.stream_id}`);
    const changed = await call('PATCH', STREAMS, { stream_id: made.body.stream_id, delivery });
    const events = await new AuditLog(pushing.service.client).events({ limit: 20 });
    const rows = await pushing.service.sql('SELECT signal_stream::text FROM signal_stream');
    const shown = JSON.stringify([made.body, read.body, changed.body, events, rows]);
    expect(shown).toContain('/events');
    expect(shown).not.toContain('a-secret-of-the-receiver');
    expect(shown).not.toContain(Buffer.from(HEADER).toString('hex'));
  });

  it('keeps the header when a change names the same endpoint, and gives it to no other', async () => {
    const delivery = { method: METHOD, endpoint_url: endpoint() };
    const stream = requireStatus(await create({ ...delivery, authorization_header: HEADER }), 201);
    const change = async (body: object, method = 'PATCH'): Promise<string | undefined> => {
      requireStatus(await call(method, STREAMS, { stream_id: stream.stream_id, ...body }), 200);
      return verify(stream);
    };
    expect(await change({ description: 'mine' })).toBe(HEADER);
    expect(await change({ delivery })).toBe(HEADER);
    expect(await change({ delivery: { ...delivery, authorization_header: 'Bearer next' } })).toBe('Bearer next');
    expect(await change({ delivery: { ...delivery, endpoint_url: endpoint('/other') } })).toBeUndefined();
    expect(await change({ delivery: { ...delivery, authorization_header: HEADER } })).toBe(HEADER);
    expect(await change({ delivery }, 'PUT')).toBeUndefined();
  });

  it.each<[string, object, string]>([
    ['no endpoint', {}, '/delivery/endpoint_url'],
    ['a host that the operator does not list', { endpoint_url: 'https://evil.example/' }, '/delivery/endpoint_url'],
    ['no https', { endpoint_url: 'http://localhost/' }, '/delivery/endpoint_url'],
    ['a user in the URL', { endpoint_url: 'https://a:b@localhost/' }, '/delivery/endpoint_url'],
    ['an address', { endpoint_url: 'https://169.254.169.254/latest' }, '/delivery/endpoint_url'],
    ['a header of two lines', { authorization_header: 'a\r\nb: c' }, '/delivery/authorization_header'],
    ['an empty header', { authorization_header: '' }, '/delivery/authorization_header'],
  ])('refuses a stream with %s, and makes none', async (_, members, pointer) => {
    const answer = await create({ method: METHOD, ...members });
    expect(answer).toMatchObject({ ...MALFORMED, body: { invalid: [{ pointer }] } });
    expect(await pushing.service.sql('SELECT FROM signal_stream')).toEqual([]);
  });

  it('tries a stream at once whose delivery was changed', async () => {
    pushing.hasten(pushing.service, { backoffMs: 3_600_000, maxBackoffMs: 3_600_000 });
    pushing.receiver.behaviour = (response) => void response.writeHead(500).end();
    const stream = requireStatus(await create({ method: METHOD, endpoint_url: endpoint() }), 201);
    await verify(stream);
    await pushing.untilFailing();
    pushing.receiver.behaviour = (response) => void response.writeHead(202).end();
    const delivery = { method: METHOD, endpoint_url: endpoint('/repaired') };
    requireStatus(await call('PATCH', STREAMS, { stream_id: stream.stream_id, delivery }), 200);
    await pushing.untilDelivered();
    expect(pushing.receiver.received.at(-1)!.path).toBe('/repaired');
  });
});
