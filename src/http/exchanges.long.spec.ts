import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { writeSlowly } from '../../test/support/write-slowly.js';
import { Problem } from './problem.js';
import { ProblemFilter } from './problem.filter.js';
import { assignRequestId, orderExchanges, refuseConnection, toUnparsableProblem } from './exchanges.js';
import { BODY_LIMIT_BYTES } from './json-body.js';

const MIB = 1_024 * 1_024;
const STATUS = /HTTP\/1\.1 \d{3}/g;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
/** Time limits for a request that has begun to arrive: milliseconds. */
const IMPATIENT = { headersTimeout: 60, requestTimeout: 80 };
const GET_WAITING = 'GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n';

let fastify: FastifyInstance;
/** Releases the handlers of /waiting. */
let answer: PromiseWithResolvers<void>;
/** Releases requests from their first hook. */
let admit: PromiseWithResolvers<void>;
/** Request ids: of handlers that have begun, and of requests that were answered. */
let begun: number;
let logged: string[];
const sockets: Socket[] = [];

beforeEach(async () => {
  await start(3_600_000);
});

async function start(maxLinger: number): Promise<void> {
  [answer, admit, begun, logged] = [Promise.withResolvers(), Promise.withResolvers(), 0, []];
  const problems = new ProblemFilter();
  fastify = Fastify({
    http: { maxHeaderSize: 16_384, connectionsCheckingInterval: 20 },
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: assignRequestId,
    clientErrorHandler: (error, socket) => {
      refuseConnection(socket, toUnparsableProblem(error));
    },
  });
  fastify.setErrorHandler((error, request, reply) => {
    problems.render(error, request, reply);
  });
  fastify.addHook('onRequest', async ({ url }) => {
    if (url === '/admitted') await admit.promise;
    if (url === '/refused') throw new Problem('permission-denied');
  });
  fastify.addHook('onResponse', ({ id }, _reply, done) => {
    logged.push(id);
    done();
  });
  orderExchanges(fastify, maxLinger);
  fastify.all('/', () => 'parsed');
  fastify.get('/waiting', async () => {
    begun += 1;
    await answer.promise;
    return `answer ${String(begun)}`;
  });
  fastify.get('/admitted', () => (begun += 1));
  fastify.get('/large', () => 'x'.repeat(200_000));
  await fastify.listen({ port: 0, host: '127.0.0.1' });
}
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  answer.resolve();
  fastify.server.closeAllConnections();
  await fastify.close();
});

async function open(allowHalfOpen = false): Promise<Socket> {
  const { port } = fastify.server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen }).on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** Reads everything until the connection closes. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  // A client that still writes when the server closes may see a reset after the answers.
  const closed = new Promise((resolve) => socket.once('close', resolve).on('error', () => undefined));
  socket
    .setEncoding('utf8')
    .on('data', (part: string) => (text += part))
    .resume();
  await closed;
  return text;
}

async function waitUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(2);
}

/** Returns the last of several answers on a connection. */
function parseLastAnswer(answers: string): { head: string; body: Record<string, unknown> } {
  const [head = '', body = ''] = answers.slice(answers.lastIndexOf('HTTP/1.1 ')).split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`content-length: ${String(Buffer.byteLength(body))}`, 'i'));
  return { head, body: JSON.parse(body) as Record<string, unknown> };
}

const UNREADABLE: [string, string][] = [
  ['text', 'hello\r\n\r\n'],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'],
  ['a bad header', 'GET / HTTP/1.1\r\nhost localhost\r\n\r\n'],
  ['two lengths', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  [
    'a length and chunks',
    'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a header that begins with white space', 'GET / HTTP/1.1\r\n x: y\r\nhost: a\r\n\r\n'],
  ['lines that end in LF alone', 'GET / HTTP/1.1\nhost: a\n\n'],
  ['the beginning of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
];
const NOT_HTTP = {
  type: 'urn:passkey-manager:problem:request-malformed',
  status: 400,
  invalid: [{ pointer: '', detail: 'the request is not HTTP/1.1' }],
  instance: expect.stringMatching(/^[0-9a-f-]{36}$/),
};

describe('a connection that sends bytes which the HTTP parser cannot read', () => {
  it.each(UNREADABLE)('is answered with a problem and ends: %s', async (_, text) => {
    const socket = await open();
    socket.write(text);
    const { head, body } = parseLastAnswer(await readToEnd(socket));
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json/);
    expect(head).toContain('connection: close');
    expect(body).toMatchObject(NOT_HTTP);
  });

  it.each(UNREADABLE)('first gets the answers to its earlier requests: %s', async (_, text) => {
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(GET_WAITING + GET_WAITING + text);
    await waitUntil(() => begun === 2);
    answer.resolve();
    expect((await answers).match(STATUS)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 400']);
    expect(parseLastAnswer(await answers).body).toMatchObject(NOT_HTTP);
  });

  it('first gets the answers to the requests before a CONNECT', async () => {
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(`${GET_WAITING}CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n`);
    await waitUntil(() => begun === 1);
    answer.resolve();
    expect((await answers).match(STATUS)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
    expect(parseLastAnswer(await answers).body).toMatchObject({
      invalid: [{ detail: 'the CONNECT method is not supported' }],
    });
  });

  it('gets one answer when the request before it is incomplete', async () => {
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(`${GET_WAITING}${CHUNKED}2\r\n{}\r\nno size\r\n`);
    await waitUntil(() => begun === 1);
    answer.resolve();
    expect((await answers).match(STATUS)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
    const { body } = parseLastAnswer(await answers);
    expect(body).toMatchObject(NOT_HTTP);
    await waitUntil(() => logged.length === 2);
    expect(logged).toContain(body['instance']);
  });

  it('gets the answer that headers over 16 KiB are too large', async () => {
    const socket = await open();
    socket.write(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`);
    const { head, body } = parseLastAnswer(await readToEnd(socket));
    expect(head).toMatch(/^HTTP\/1\.1 413 /);
    expect(body).toMatchObject({ type: 'urn:passkey-manager:problem:request-too-large', status: 413 });
  });

  it.each([
    ['a head', 'GET / HTTP/1.1\r\nhost: a\r\n'],
    ['a body', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{'],
  ])('gets the answer that %s is late, once', async (_, text) => {
    const accepted = once(fastify.server, 'connection') as Promise<[Socket]>;
    const socket = await open();
    const reading = readToEnd(socket);
    socket.write(text);
    const [connection] = await accepted;
    await waitUntil(() => connection.bytesRead === text.length);
    Object.assign(fastify.server, IMPATIENT);
    const answers = await reading;
    expect(answers.match(STATUS)).toEqual(['HTTP/1.1 400']);
    expect(parseLastAnswer(answers).body).toMatchObject({
      invalid: [{ detail: 'the request did not arrive in time' }],
    });
  });
});

describe('pipelined requests', () => {
  it('are begun 9 at a time, however many a packet holds, and all are answered in order', async () => {
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(GET_WAITING.repeat(999) + 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await waitUntil(() => begun >= 8);
    await sleep(50);
    expect(begun).toBeLessThanOrEqual(9);
    answer.resolve();
    const bodies = (await answers).match(/answer \d+|parsed/g) ?? [];
    expect(bodies).toHaveLength(1_000);
    expect(bodies.at(-1)).toBe('parsed');
    expect(begun).toBe(999);
  });

  it('are begun 9 at a time when packets end between the bytes of a line end', async () => {
    const socket = await open();
    socket.setNoDelay(true);
    for (const part of GET_WAITING.repeat(30).split(/(?<=\r)/)) {
      socket.write(part);
      await new Promise(setImmediate);
    }
    await waitUntil(() => begun >= 8);
    await sleep(50);
    expect(begun).toBeLessThanOrEqual(9);
  });

  it('are answered whole when they have bodies, and when the client does not read for a while', async () => {
    const socket = await open();
    const body = JSON.stringify({ text: '\r\n\r\n'.repeat(2_000) });
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`;
    const large = 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n';
    socket.write((post + large).repeat(20) + 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await sleep(100);
    const answers = await readToEnd(socket);
    expect(answers.match(STATUS)).toEqual(Array(41).fill('HTTP/1.1 200'));
    expect(answers.match(/x{200000}/g)).toHaveLength(20);
  });

  it('are not begun when their connection is gone', async () => {
    const socket = await open();
    socket.write('GET /admitted HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(5));
    const [connection] = (await once(fastify.server, 'request')) as [{ socket: Socket }];
    const closed = new Promise((resolve) => connection.socket.once('close', resolve));
    socket.resetAndDestroy();
    await closed;
    admit.resolve();
    await sleep(20);
    expect(begun).toBe(0);
  });
});

describe('an answer before the end of its request', () => {
  const head = (length: number): string =>
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${String(length)}\r\n\r\n`;

  it.each([
    ['announces 2 MiB', head(2 * MIB), Buffer.alloc(2 * MIB)],
    ['sends 2 MiB in chunks', `${CHUNKED}200000\r\n`, Buffer.alloc(2 * MIB)],
  ])('is seen by a client that %s before it reads', async (_, begin, rest) => {
    const socket = await open();
    socket.pause();
    socket.write(begin);
    await writeSlowly(socket, rest);
    const { head, body } = parseLastAnswer(await readToEnd(socket));
    expect(head).toMatch(/^HTTP\/1\.1 413 .*connection: close/is);
    expect(body).toMatchObject({ type: 'urn:passkey-manager:problem:request-too-large' });
  });

  it.each(['/', '/refused'])('does not let a client send endlessly to %s', async (target) => {
    const socket = await open(true);
    socket.resume().write(head(1_000 * MIB).replace('/', target));
    const send = (error?: unknown): unknown => error ?? socket.write(Buffer.alloc(MIB), send);
    send();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(socket.bytesWritten).toBeLessThan(20 * MIB);
  });

  it('ends the connection of a client that neither sends nor closes', async () => {
    await fastify.close();
    await start(100);
    const accepted = once(fastify.server, 'connection') as Promise<[Socket]>;
    const socket = await open(true);
    socket.resume().write(head(2 * MIB));
    await once((await accepted)[0], 'close');
  });

  it('is the only answer when the rest of its request never comes', async () => {
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(head(9).replace('application/json', 'application/xml'));
    await once(socket, 'data');
    Object.assign(fastify.server, IMPATIENT);
    socket.write('{');
    expect((await answers).match(STATUS)).toEqual(['HTTP/1.1 415']);
  });
});

describe('an idle connection', () => {
  it('ends even while empty lines come', async () => {
    fastify.server.keepAliveTimeout = 100;
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(GET);
    const lines = setInterval(() => socket.write('\r\n'), 50);
    expect((await answers).match(STATUS)).toEqual(['HTTP/1.1 200']);
    clearInterval(lines);
  });

  it('answers a request that begins before its time is over and is complete afterwards', async () => {
    // node:http adds a second.
    fastify.server.keepAliveTimeout = 2_000;
    const socket = await open();
    const answers = readToEnd(socket);
    socket.write(GET);
    await once(socket, 'data');
    for (const part of 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'.match(/[^]{1,5}/g)!) {
      socket.write(part);
      await sleep(400);
    }
    expect((await answers).match(STATUS)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
  });
});
