import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { ProblemFilter } from './problem.filter.js';
import { refuseAmbiguousHeads, refuseBadEncoding, refuseForeignTargets, requireHost } from './request-head.js';

let fastify: FastifyInstance;
beforeAll(async () => {
  const problems = new ProblemFilter();
  fastify = Fastify();
  refuseAmbiguousHeads(fastify);
  refuseForeignTargets(fastify, (name) => ['keys.example', '::1'].includes(name));
  fastify.setErrorHandler((error, request, reply) => {
    problems.render(error, request, reply);
  });
  fastify.all('/v1/things', () => 'served');
  await fastify.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => fastify.close());

/** Returns the status, and the pointer or detail of the problem. */
async function sendHead(head: string, body = ''): Promise<[status: number, about: unknown]> {
  const socket = connect((fastify.server.address() as AddressInfo).port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
  socket.write(`${head.replaceAll('\n', '\r\n')}\r\nConnection: close\r\n\r\n${body}`);
  await once(socket, 'close');
  const [status = '', text = ''] = answer.split('\r\n\r\n');
  const { detail, invalid } = text.startsWith('{')
    ? (JSON.parse(text) as { detail?: string; invalid?: { pointer: string; detail: string }[] })
    : {};
  return [Number(status.split(' ')[1]), invalid?.[0]?.pointer || invalid?.[0]?.detail || detail];
}

describe('the head of a request', () => {
  it('can name only one media type', async () => {
    const head = 'POST /v1/things HTTP/1.1\nHost: keys.example\nContent-Length: 2\nContent-Type: application/json';
    expect(await sendHead(head, '{}')).toEqual([200, undefined]);
    for (const second of ['Content-Type: application/json', 'content-type: text/plain', 'CONTENT-TYPE:']) {
      expect(await sendHead(`${head}\n${second}`, '{}')).toEqual([400, '/content-type']);
    }
  });

  it.each(['gzip, chunked', 'deflate, chunked', 'chunked, chunked', 'identity, chunked', 'x, chunked'])(
    'cannot have the transfer coding "%s"',
    async (coding) => {
      const head = `POST /v1/things HTTP/1.1\nHost: keys.example\nTransfer-Encoding: ${coding}`;
      const [status] = await sendHead(head, '0\r\n\r\n');
      expect([400, 415]).toContain(status);
    },
  );

  it.each(['chunked', 'Chunked'])('may have the transfer coding %s', async (coding) => {
    const head = `POST /v1/things HTTP/1.1\nHost: keys.example\nContent-Type: application/json\nTransfer-Encoding: ${coding}`;
    expect(await sendHead(head, '2\r\n{}\r\n0\r\n\r\n')).toEqual([200, undefined]);
  });

  it('can expect only 100-continue', async () => {
    const head = 'GET /v1/things HTTP/1.1\nHost: keys.example\nExpect:';
    expect(await sendHead(`${head} tea`)).toEqual([400, '/expect']);
    expect(await sendHead(`${head} 100-continue, tea`)).toEqual([100, undefined]);
  });
});

describe('a target in absolute form', () => {
  it.each([
    ['https://keys.example/v1/things', 'keys.example'],
    ['https://KEYS.example:443/v1/things?a=b', 'keys.EXAMPLE'],
    ['https://keys.example:8443/v1/things', 'keys.example:8443'],
    ['https://[::1]:8443/v1/things', '[::1]:8443'],
  ])('is accepted when it is %s and the host is %s', async (target, host) => {
    expect(await sendHead(`GET ${target} HTTP/1.1\nHost: ${host}`)).toEqual([200, undefined]);
  });

  it.each([
    ['https://evil.example/v1/things', 'keys.example'],
    ['https://evil.example/v1/things', 'evil.example'],
    ['https://keys.example/v1/things', 'evil.example'],
    ['https://keys.example:8443/v1/things', 'keys.example'],
    ['http://keys.example/v1/things', 'keys.example'],
    ['https://user@keys.example/v1/things', 'keys.example'],
    ['https://user:pass@keys.example/v1/things', 'user:pass@keys.example'],
    ['ftp://keys.example/v1/things', 'keys.example'],
  ])('is refused when it is %s and the host is %s', async (target, host) => {
    const [status, about] = await sendHead(`GET ${target} HTTP/1.1\nHost: ${host}`);
    expect([status, about]).toEqual([400, expect.stringMatching(/^the request target names another host/)]);
  });
});

describe('the service, as RFC 9112 §3.2 requires,', () => {
  let server: FastifyInstance;
  beforeAll(async () => {
    const problems = new ProblemFilter();
    server = Fastify({ http: { requireHostHeader: false } });
    requireHost(server);
    server.setErrorHandler((error, request, reply) => {
      problems.render(error, request, reply);
    });
    server.get('/', () => ({ served: true }));
    await server.listen({ port: 0, host: '127.0.0.1' });
  });
  afterAll(() => server.close());

  async function answerHead(head: string): Promise<string> {
    const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
    socket.write(head);
    await once(socket, 'close');
    return answer;
  }

  it.each([
    'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nX: host\r\nhost: HOST\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.0\r\nHOST: localhost\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: pm.internal_1:8443\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: [::1]:8443\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: 127.0.0.1:\r\n\r\n',
  ])('serves a request that names its host: %j', async (head) => {
    expect(await answerHead(head)).toMatch(/^HTTP\/1\.1 200 .*\{"served":true\}$/s);
  });

  it.each([
    'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nX: host\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.0\r\n\r\n',
    'GET /\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: \r\n\r\n',
    'GET / HTTP/1.0\r\nHost: a b/c@d\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: user@localhost\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: a:port\r\n\r\n',
  ])('refuses a request that names no host, several, or one that is malformed: %j', async (head) => {
    const answer = await answerHead(head);
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*content-type: application\/problem\+json/s);
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      type: 'urn:passkey-manager:problem:request-malformed',
      invalid: [{ pointer: '/host' }],
    });
  });
});

describe('a request target', () => {
  let server: FastifyInstance;

  beforeAll(async () => {
    const problems = new ProblemFilter();
    server = Fastify();
    refuseBadEncoding(server);
    server.setErrorHandler((error, request, reply) => {
      problems.render(error, request, reply);
    });
    server.get('/', (request) => request.query);
    await server.ready();
  });
  afterAll(() => server.close());

  it.each([
    ['/?userId=u%2F1', { userId: 'u/1' }],
    ['/?userId=%F0%9F%98%80', { userId: '😀' }],
    ['/?userId=a+b', { userId: 'a b' }],
  ])('is decoded as percent-encoded UTF-8: %s', async (url, query) => {
    expect((await server.inject({ url })).json()).toEqual(query);
  });

  it.each(['/?userId=%', '/?userId=%zz', '/?userId=%F0%9F', '/?%ff', '/?userId=%C0%AF', '/?userId=%ED%A0%80'])(
    'is refused when it is not percent-encoded UTF-8: %s',
    async (url) => {
      const answer = await server.inject({ url });
      expect(answer.json()).toMatchObject({ status: 400, type: 'urn:passkey-manager:problem:request-malformed' });
    },
  );
});
