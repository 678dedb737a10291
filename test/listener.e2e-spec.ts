import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type { Server } from 'node:https';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection } from './support/raw-connection.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const GET = 'GET /v1/credentials HTTP/1.1\r\nHost: localhost\r\n\r\n';
const POST = 'POST /v1/credentials/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

let service: TestService;
let server: Server;
beforeAll(async () => {
  service = await TestService.start();
  server = service.running.app.getHttpServer() as Server;
});
afterAll(() => service.stop());

async function metric(series: string): Promise<number> {
  const text = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
  const line = text.split('\n').find((line) => line.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? 0);
}

async function countConnections(): Promise<Record<string, number>> {
  const [handshake, established] = await Promise.all(
    ['handshake', 'established'].map((state) => metric(`passkey_tls_connections{state="${state}"}`)),
  );
  const open = await new Promise<number>((resolve) => {
    server.getConnections((_, count) => {
      resolve(count);
    });
  });
  return { handshake: handshake!, established: established!, open };
}

async function openSilently(count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(service.running.httpsUrl);
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(Number(port), hostname).on('error', () => undefined);
      await once(socket, 'connect').catch(() => undefined);
      return socket.resume();
    }),
  );
}

const signIn = () => service.client.call('auth-service', 'GET', '/v1/credentials');

describe('silent connections', () => {
  it('by the thousand keep no caller out, and leave nothing when they are gone', async () => {
    await signIn();
    const before = await countConnections();
    const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const descriptorsBefore = process.platform === 'linux' ? await descriptors() : 0;
    for (let round = 0; round < 4; round += 1) {
      const flood = await openSilently(600);
      service.client.close();
      expect(await signIn()).toMatchObject({ status: 200 });
      expect((await countConnections())['open']).toBeLessThanOrEqual(502);
      expect((await fetch(`${service.running.managementUrl}/health/ready`)).status).toBe(200);
      for (const socket of flood) socket.destroy();
    }
    expect(await metric('passkey_tls_connections_refused_total{reason="too-many-handshakes"}')).toBeGreaterThan(500);
    await until(async () => ((await countConnections())['open'] ?? 0) <= before['open']!);
    expect(await countConnections()).toMatchObject({ established: before['established'] });
    if (process.platform === 'linux') await until(async () => (await descriptors()) <= descriptorsBefore + 5);
  });
});

describe('the running listener', () => {
  it('uses its timeouts', () => {
    expect(server).toMatchObject({
      headersTimeout: 10_000,
      requestTimeout: 15_000,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 2_000,
    });
  });

  describe('with shorter timeouts', () => {
    const parts: NodeJS.Timeout[] = [];
    const late: Record<string, RawConnection> = {};
    /** Writes the beginning, then a byte every tenth of a second. */
    const write = async (name: string, begin: string, trickle?: string): Promise<void> => {
      const connection = await RawConnection.to(service);
      late[name] = connection;
      connection.socket.write(begin);
      if (trickle !== undefined) parts.push(setInterval(() => connection.socket.write(trickle), 100));
    };
    beforeAll(async () => {
      const heard = new Set<Socket>();
      const listen = (socket: Socket): unknown => socket.once('data', () => heard.add(socket));
      server.on('secureConnection', listen).keepAliveTimeout = 300;
      await Promise.all([
        write('nothing', ''),
        write('half a head', 'GET /v1/credentials HTTP/1.1\r\nHost: '),
        write('a head byte by byte', 'GET /v1/credentials HTTP/1.1\r\nX: ', 'x'),
        write('half a body', `${POST}Content-Length: 100\r\n\r\n{`),
        write('a body byte by byte', `${POST}Content-Length: 60000\r\n\r\n{`, ' '),
        write('chunks byte by byte', `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, '1\r\n \r\n'),
        write('a request, and nothing more', GET),
        write('a request, and empty lines', GET, '\r\n'),
      ]);
      await until(() => heard.size === Object.keys(late).length - 1);
      for (const name of ['a request, and nothing more', 'a request, and empty lines']) await late[name]!.answers(1);
      server.off('secureConnection', listen);
      Object.assign(server, { headersTimeout: 300, requestTimeout: 500 });
    });
    afterAll(() => {
      for (const part of parts) clearInterval(part);
      for (const { socket } of Object.values(late)) socket.destroy();
      Object.assign(server, { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 65_000 });
    });

    it('ends a connection that sends nothing, without an answer', async () => {
      await late['nothing']!.closed;
      expect(late['nothing']!.received).toBe('');
    });

    it.each(['half a head', 'a head byte by byte', 'half a body', 'a body byte by byte', 'chunks byte by byte'])(
      'ends a connection that sends %s, and answers why',
      async (name) => {
        const connection = late[name]!;
        await connection.closed;
        expect(connection.statuses).toEqual([400]);
        expect(connection.body).toMatchObject({
          type: 'urn:passkey-manager:problem:request-malformed',
          invalid: [{ pointer: '', detail: 'the request did not arrive in time' }],
        });
      },
    );

    it.each(['a request, and nothing more', 'a request, and empty lines'])(
      'ends a connection that sends %s',
      async (name) => {
        await late[name]!.closed;
        expect(late[name]!.statuses).toEqual([200]);
      },
    );
  });
});
