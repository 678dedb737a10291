import 'reflect-metadata';
import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect as connectPlainly, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { issueCaller, exportKey, TrustFiles } from '../../test/support/trust-files.js';
import { refuseConnection, toUnparsableProblem } from '../http/exchanges.js';
import { Metrics } from '../telemetry/metrics.js';
import { ListenerBounds } from './listener-bounds.js';
import { createTlsOptions } from './tls-options.js';
import { readTrustMaterial } from './trust-material.js';

const HANDSHAKES = 500;
const OF_AN_ADDRESS = 64;
const CONNECTIONS = 3_500;

let metrics: Metrics;
let bounds: ListenerBounds;
beforeEach(() => {
  metrics = new Metrics();
  bounds = new ListenerBounds(metrics);
});

const readValues = (metric: { values: { labels: object; value: number }[] }): Record<string, number> =>
  Object.fromEntries(metric.values.map(({ labels, value }) => [String(Object.values(labels)[0]), value]));
const connections = async (): Promise<Record<string, number>> => readValues(await metrics.tlsConnections.get());
const refused = async (): Promise<Record<string, number>> => readValues(await metrics.tlsConnectionsRefused.get());

const countConnections = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.getConnections((_, count) => {
      resolve(count);
    }),
  );

const countClosed = async (): Promise<number> => (await refused())['too-many-handshakes'] ?? 0;

describe('a listener', () => {
  let files: TrustFiles;
  let server: Server;
  const clients: Socket[] = [];
  beforeEach(async () => {
    files = await TrustFiles.create();
  });

  async function listen(options: { handshakeTimeout?: number } = {}): Promise<void> {
    const { context } = await readTrustMaterial(files.files, new Date());
    server = createServer({ ...createTlsOptions(context), ...options }, (_, response) => response.end('served'));
    server.on('clientError', (error, socket) => {
      refuseConnection(socket as Socket, toUnparsableProblem(error));
    });
    bounds.attachTo(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
  }
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    files.remove();
  });

  const port = (): number => (server.address() as AddressInfo).port;
  const openSilently = (count: number): Promise<Socket[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const client = connectPlainly(port(), '127.0.0.1').on('error', () => undefined);
        clients.push(client);
        await once(client, 'connect');
        return client.resume();
      }),
    );

  async function ask(): Promise<string> {
    const { pem: cert, ...own } = await issueCaller(files.root);
    const client = connect({
      host: '127.0.0.1',
      port: port(),
      servername: 'localhost',
      ca: files.root.pem,
      cert,
      key: exportKey({ pem: cert, ...own }),
    });
    clients.push(client);
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [answer] = (await once(client, 'data')) as [Buffer];
    return answer.toString();
  }

  it('accepts a caller while others hold all unfinished handshakes, even at the same address', async () => {
    await listen();
    await openSilently(HANDSHAKES + 20);
    while ((await countClosed()) < 20) await sleep(5);
    expect(await ask()).toMatch(/^HTTP\/1.1 200 .*served$/s);
    expect((await connections())['established']).toBe(1);
  });

  it('closes a connection whose handshake is late and that does not close itself', async () => {
    await listen({ handshakeTimeout: 100 });
    const [silent] = await openSilently(1);
    const other = connectPlainly({ port: port(), host: '127.0.0.1', allowHalfOpen: true });
    clients.push(silent!, other.on('error', () => undefined).resume());
    await once(server, 'tlsClientError');
    while (Object.values(await connections()).some((count) => count > 0)) await sleep(5);
    while ((await countConnections(server)) > 0) await sleep(5);
  });

  it('keeps 64 unfinished handshakes of an address for longer than a second', async () => {
    await listen();
    const silent = await openSilently(OF_AN_ADDRESS + 36);
    while ((await countClosed()) < 36) await sleep(5);
    await sleep(100);
    expect(await connections()).toEqual({ handshake: OF_AN_ADDRESS, established: 0 });
    expect(silent.filter(({ readableEnded, destroyed }) => readableEnded || destroyed)).toHaveLength(36);
  });

  it('forgets unfinished handshakes that are gone', async () => {
    await listen();
    const silent = await openSilently(100);
    await ask();
    for (const client of [...silent, ...clients]) client.destroy();
    while (Object.values(await connections()).some((count) => count > 0)) await sleep(5);
    expect(bounds).toMatchObject({ peers: new Map(), unfinished: new Map(), established: new Set() });
  });
});

describe('when there are more unfinished handshakes than allowed,', () => {
  interface Begun extends EventEmitter {
    readonly remoteAddress: string;
    bytesWritten: number;
    refusal?: string;
  }

  let server: EventEmitter;
  beforeEach(() => {
    server = new EventEmitter();
    bounds.attachTo(server as Server);
  });
  const begin = (remoteAddress: string): Begun => {
    const socket: Begun = Object.assign(new EventEmitter(), {
      remoteAddress,
      bytesWritten: 0,
      destroy(error: Error & { code: string }) {
        socket.refusal = error.code;
        socket.emit('close');
      },
    });
    server.emit('connection', socket);
    return socket;
  };
  const establish = (): Begun => {
    const socket = begin('192.0.2.1');
    server.emit('secureConnection', { _parent: socket });
    return socket;
  };
  const refusedAmong = (sockets: Begun[]): number[] =>
    sockets.flatMap(({ refusal }, index) => (refusal === undefined ? [] : [index]));

  it('the oldest one of the address with the most is closed', () => {
    const few = Array.from({ length: 100 }, () => begin('192.0.2.1'));
    const most = Array.from({ length: 400 }, () => begin('192.0.2.2'));
    const others = Array.from({ length: 3 }, (_, index) => begin(`192.0.2.${String(3 + index)}`));
    expect(refusedAmong(few)).toEqual([]);
    expect(refusedAmong(most)).toEqual([0, 1, 2]);
    expect(refusedAmong(others)).toEqual([]);
  });

  it('those to which something was answered are closed last', () => {
    const all = Array.from({ length: HANDSHAKES }, () => begin('192.0.2.1'));
    for (const socket of all) socket.bytesWritten = socket === all[7] ? 0 : 1_000;
    const late = [begin('192.0.2.1')];
    expect(refusedAmong(all)).toEqual([7]);
    late[0]!.bytesWritten = 1_000;
    late.push(begin('192.0.2.1'));
    expect(refusedAmong(all)).toEqual([0, 7]);
    expect(refusedAmong(late)).toEqual([]);
  });

  it('none is closed in favour of a finished one', () => {
    for (let count = 0; count < 2 * HANDSHAKES; count += 1) establish();
    const late = begin('192.0.2.2');
    expect(late.refusal).toBeUndefined();
    expect(bounds).toMatchObject({ connections: 2 * HANDSHAKES, isFull: false });
  });

  it('all are refused where 3,500 callers are connected, until one leaves', async () => {
    const callers = Array.from({ length: CONNECTIONS }, establish);
    expect(bounds).toMatchObject({ connections: CONNECTIONS, isFull: true });
    expect(begin('192.0.2.2').refusal).toBe('listener-full');
    server.emit('drop');
    expect(await refused()).toEqual({ 'listener-full': 2 });
    expect(await connections()).toEqual({ handshake: 0, established: CONNECTIONS });
    callers[7]!.emit('close');
    expect(bounds.isFull).toBe(false);
    expect(begin('192.0.2.2').refusal).toBeUndefined();
  });

  it('the server has its own bound, at which workers close connections themselves', () => {
    expect(server).toMatchObject({ maxConnections: 4_000, dropMaxConnection: true });
  });
});
