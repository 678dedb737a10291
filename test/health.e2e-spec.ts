import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { REQUEST_TIMEOUTS, setRequestTimeouts } from '../src/http/connection-limits.js';
import { makeProblem } from './support/bodies.js';
import { TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

const management = async (path: string): Promise<{ status: number; type: string | null; text: string }> => {
  const response = await fetch(`${service.running.managementUrl}${path}`);
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
};

describe('the management listener', () => {
  it.each(['/health/live', '/health/ready'])('answers GET %s with ok', async (path) => {
    const { status, text } = await management(path);
    expect([status, JSON.parse(text)]).toMatchObject([200, { status: 'ok' }]);
  });

  it('names what readiness depends on', async () => {
    const { text } = await management('/health/ready');
    expect(JSON.parse(text)).toMatchObject({ details: { database: { status: 'up' } } });
  });

  it('listens only on the loopback address', () => {
    expect(new URL(service.running.managementUrl).hostname).toBe('127.0.0.1');
  });

  it('gives metrics to Prometheus', async () => {
    const { status, type, text } = await management('/metrics');
    expect([status, type]).toEqual([200, expect.stringContaining('text/plain')]);
    expect(text).toMatch(/^# TYPE /m);
  });

  it.each(['/v1/credentials', '/v1/relying-parties', '/openapi.json', '/'])('does not have %s', async (path) => {
    expect((await management(path)).status).toBe(404);
  });
});

describe('a client that holds connections to the management listener', () => {
  const held: Socket[] = [];
  let server: Server;
  beforeAll(() => {
    server = service.running.management.getHttpServer();
  });
  afterEach(() => {
    for (const socket of held.splice(0)) socket.destroy();
    setRequestTimeouts(server);
  });
  const hold = async (begin: string): Promise<Socket> => {
    const { hostname, port } = new URL(service.running.managementUrl);
    const socket = connect(Number(port), hostname).on('error', () => undefined);
    held.push(socket.resume());
    await once(socket, 'connect');
    if (begin) socket.write(begin);
    return socket;
  };

  it('keeps no probe out, however many it holds', async () => {
    await Promise.all(Array.from({ length: 1_000 }, () => hold('')));
    expect((await management('/health/live')).status).toBe(200);
    const open = await new Promise<number>((resolve) => {
      server.getConnections((_, count) => {
        resolve(count);
      });
    });
    expect(open).toBeLessThanOrEqual(512);
  });

  it.each([
    ['sends nothing', ''],
    ['sends half a head', 'GET /health/ready HTTP/1.1\r\nHost: '],
    [
      'sends half a body',
      'POST /health/ready HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    ],
    ['sends one request and nothing more', 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('is cut off when it %s', async (_, begin) => {
    expect(server).toMatchObject(REQUEST_TIMEOUTS);
    Object.assign(server, { headersTimeout: 200, requestTimeout: 300, keepAliveTimeout: 200 });
    await once(await hold(begin), 'close');
  });

  it('does not keep the service from stopping', async () => {
    const stopped = await TestService.start();
    Object.assign(stopped.running.management.getHttpServer(), { headersTimeout: 0, requestTimeout: 0 });
    const { hostname, port } = new URL(stopped.running.managementUrl);
    const socket = connect(Number(port), hostname, () => socket.write('GET /health/ready HTTP/1.1\r\n'));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    await stopped.stop();
  });
});

describe('the mutual TLS listener', () => {
  it.each(['/health/live', '/health/ready', '/metrics'])('does not have %s', async (path) => {
    expect(await service.client.call('operator', 'GET', path)).toMatchObject(makeProblem(404, 'not-found'));
  });
});
