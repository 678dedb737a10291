import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { DRAINING, drainOnClose } from './drain.js';

let fastify: FastifyInstance;
let answer: PromiseWithResolvers<string>;
let asked: PromiseWithResolvers<void>;
const sockets: Socket[] = [];
beforeEach(() => {
  [answer, asked] = [Promise.withResolvers(), Promise.withResolvers()];
  fastify = Fastify(DRAINING);
  fastify.get('/', () => {
    asked.resolve();
    return answer.promise;
  });
  fastify.get('/stream', (_, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-length': 4 }).write('be');
    asked.resolve();
    void answer.promise.then(() => reply.raw.end('gu'));
  });
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function listening(patience?: number): Promise<Socket> {
  drainOnClose(fastify, patience);
  await fastify.listen({ port: 0 });
  return connected();
}

async function connected(): Promise<Socket> {
  const socket = connect((fastify.server.address() as AddressInfo).port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function received(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('while the service stops', () => {
  it('an answer says that it is the last of its connection, and the connection then ends', async () => {
    const socket = await listening();
    const text = received(socket);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await asked.promise;
    const closed = fastify.close();
    await sleep(20);
    answer.resolve('whole');
    expect(await text).toMatch(/^HTTP\/1\.1 200 (.|\r\n)*connection: close(.|\r\n)*\r\n\r\nwhole$/i);
    await closed;
  });

  it('an answer whose head is already sent is finished, and its connection then ends', async () => {
    const socket = await listening();
    const text = received(socket);
    socket.write('GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await asked.promise;
    const closed = fastify.close();
    await sleep(20);
    answer.resolve('');
    expect(await text).toMatch(/\r\n\r\nbegu$/);
    await closed;
  });

  it('a request that arrives meanwhile is answered like the others', async () => {
    const [busy, late] = [await listening(), await connected()];
    const text = received(late);
    busy.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    late.write('GET / HTTP/1.1\r\nHost:');
    await asked.promise;
    await sleep(20);
    const closed = fastify.close();
    await sleep(20);
    late.write(' localhost\r\n\r\n');
    await sleep(20);
    answer.resolve('whole');
    expect(await text).toMatch(/^HTTP\/1\.1 200 (.|\r\n)*connection: close(.|\r\n)*\r\n\r\nwhole$/i);
    await closed;
  });

  it.each([
    ['says nothing', ''],
    ['has said half of what it asks', 'GET / HTTP/1.1\r\nHost:'],
  ])('a connection that %s is cut off in the end', async (_, said) => {
    const socket = await listening(50);
    socket.write(said);
    await sleep(20);
    await fastify.close();
    await expect(received(socket)).resolves.toBe('');
  });
});

describe('before the service stops', () => {
  it('an answer leaves its connection open', async () => {
    const socket = await listening();
    answer.resolve('whole');
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/connection: keep-alive/i);
    await fastify.close();
  });
});
