import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance } from 'fastify';
import { ProblemFilter } from './problem.filter.js';
import { requireHost } from './host.js';

let server: FastifyInstance;
beforeAll(async () => {
  const problems = new ProblemFilter();
  server = fastify({ http: { requireHostHeader: false } });
  requireHost(server);
  server.setErrorHandler((error, request, reply) => {
    problems.render(error, request, reply);
  });
  server.get('/', () => ({ served: true }));
  await server.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => server.close());

async function sendHead(head: string): Promise<string> {
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
  socket.write(head);
  await once(socket, 'close');
  return answer;
}

describe('RFC 9112 §3.2', () => {
  it.each([
    'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nX: host\r\nhost: HOST\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.0\r\nHOST: localhost\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: pm.internal_1:8443\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: [::1]:8443\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: 127.0.0.1:\r\n\r\n',
  ])('serves a request that names its host: %j', async (head) => {
    expect(await sendHead(head)).toMatch(/^HTTP\/1\.1 200 .*\{"served":true\}$/s);
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
  ])('refuses one that names none, several, or what cannot be a host: %j', async (head) => {
    const answer = await sendHead(head);
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*content-type: application\/problem\+json/s);
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      type: 'urn:passkey-manager:problem:request-malformed',
      invalid: [{ pointer: '/host' }],
    });
  });
});
