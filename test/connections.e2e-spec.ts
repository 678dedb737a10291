import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ClientCertificate } from './support/client.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

let service: TestService;
const open: TLSSocket[] = [];
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
  service.clock.reset();
});

const GET = 'GET /v1/credentials HTTP/1.1\r\nHost: localhost\r\n\r\n';
const STATUS = /HTTP\/1\.1 \d{3}/g;

/** Opens a connection that writes these bytes. @returns what it has received */
async function connection(
  certificate: ClientCertificate = service.pki.certificateOf('auth-service'),
): Promise<{ socket: TLSSocket; received: () => string }> {
  const { port } = new URL(service.running.httpsUrl);
  const socket = connect({ host: 'localhost', port: Number(port), ca: service.pki.ca, ...certificate });
  open.push(socket);
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1'))).on('error', () => undefined);
  await once(socket, 'secureConnect');
  return { socket, received: () => received };
}

async function answers({ received }: { received: () => string }, count: number): Promise<string[]> {
  const found = (): string[] => received().match(STATUS) ?? [];
  await until(() => found().length >= count);
  return found();
}

async function epoch(): Promise<unknown> {
  const response = await fetch(`${service.running.managementUrl}/health/ready`);
  return ((await response.json()) as { details: Record<string, Record<string, unknown>> }).details['certificate']?.[
    'epoch'
  ];
}

async function revoke(certificate: ClientCertificate): Promise<void> {
  const before = await epoch();
  await service.pki.revoke(certificate);
  await until(async () => (await epoch()) !== before);
}

describe('pipelined requests', () => {
  it('are answered in order on a good connection', async () => {
    const live = await connection();
    live.socket.write(GET.repeat(3));
    expect(await answers(live, 3)).toEqual(Array(3).fill('HTTP/1.1 200'));
    expect(live.received()).not.toMatch(/connection: close/i);
  });

  it('are not answered after the last answer, which says that it is the last', async () => {
    const live = await connection();
    live.socket.write(GET);
    await answers(live, 1);
    service.clock.advance(16 * 60);
    live.socket.write(GET.repeat(3));
    await once(live.socket, 'close');
    expect(live.received().match(STATUS)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    expect(live.received()).toMatch(/connection: close/i);
  });

  it('are all refused after a revocation, so that pipelining is no way around it', async () => {
    const certificate = await service.pki.issue();
    const live = await connection(certificate);
    live.socket.write(GET);
    await answers(live, 1);
    await revoke(certificate);
    live.socket.write(GET.repeat(20));
    await once(live.socket, 'close');
    expect(live.received().match(STATUS)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401']);
  });

  it('are refused when one that was half sent before the revocation is complete', async () => {
    const certificate = await service.pki.issue();
    const live = await connection(certificate);
    live.socket.write(GET.slice(0, 30));
    await revoke(certificate);
    live.socket.write(GET.slice(30));
    expect(await answers(live, 1)).toEqual(['HTTP/1.1 401']);
  });
});

describe('a caller that', () => {
  it('closes its half of the connection has closed the connection', async () => {
    const live = await connection();
    live.socket.end(GET);
    await once(live.socket, 'close');
  });

  it('goes away in the middle of a request leaves nothing behind', async () => {
    for (let times = 0; times < 5; times += 1) {
      const { socket } = await connection();
      socket.write('POST /v1/credentials/verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{');
      socket.destroy();
    }
    const live = await connection();
    live.socket.write(GET);
    expect(await answers(live, 1)).toEqual(['HTTP/1.1 200']);
  });
});
