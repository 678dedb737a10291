import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditService } from '../src/audit/audit.service.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { ClientCertificate } from './support/client.js';
import { type RawConnection, RawConnections } from './support/raw-connection.js';
import { toSpiffeId, TestService } from './support/service.js';
import { until } from './support/until.js';

let service: TestService;
let connections: RawConnections;
beforeAll(async () => {
  service = await TestService.start();
  connections = new RawConnections(service);
  // 12 MB exceed the buffers of two sockets.
  const audit = service.running.app.get(AuditService);
  for (let event = 0; event < 60; event += 1) {
    await audit.record(null, { type: 'service.start', outcome: 'success', facts: { padding: 'x'.repeat(200_000) } });
  }
  await until(async () => (await service.readMetric('passkey_audit_log_sequenced_events')) > 60);
});
beforeEach(() => {
  service.clock.freeze();
});
afterEach(() => {
  connections.close();
  service.clock.reset();
});
afterAll(() => service.stop());

const EXPORT = 'GET /v1/audit/export HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Opens a connection that begins to receive an export and then stops reading. */
async function beginUnreadExport(identity: string | ClientCertificate = 'auditor'): Promise<RawConnection> {
  const connection = await connections.connect(identity);
  connection.socket.write(EXPORT);
  await once(connection.socket, 'data');
  connection.socket.pause();
  return connection;
}

async function read({ socket }: RawConnection, bytes: number): Promise<void> {
  socket.resume();
  for (let received = 0; received < bytes;) received += ((await once(socket, 'data')) as [Buffer])[0].length;
  socket.pause();
}

/** Returns whether the service has ended a connection, which a client that does not read learns by writing. */
async function isCut({ socket }: RawConnection): Promise<boolean> {
  if (!socket.destroyed) socket.write('\r\n');
  await sleep(100);
  return socket.destroyed;
}

/** Waits for the interval in which the service checks its connections once: its timer is due before this one. */
const round = (): Promise<void> => sleep(1_200);

describe('an answer that its caller does not read', () => {
  it('is cut off after 30 seconds, and meanwhile holds no place that others need', async () => {
    const unread = await beginUnreadExport();
    await round();
    service.clock.advance(20);
    await round();
    expect(await isCut(unread)).toBe(false);
    expect(await service.readMetric('passkey_http_requests_in_flight')).toBe(0);
    const parties = await service.relyingParty('login.example.com');
    const phone = new Authenticator();
    await parties.registered('ada', phone);
    await parties.authenticated(phone);
    service.clock.advance(11);
    await until(() => isCut(unread));
  });

  it('is kept while the caller reads it slowly', async () => {
    const slow = await beginUnreadExport();
    for (let pause = 0; pause < 3; pause += 1) {
      await round();
      service.clock.advance(20);
      await read(slow, 1_000_000);
    }
    await round();
    expect(await isCut(slow)).toBe(false);
  });

  it('ends when its caller’s certificate ends', async () => {
    // TLS compares the certificate with the real time.
    service.clock.advance(3_600);
    const notAfter = new Date(service.clock.now().getTime() + 15_000);
    const ending = await beginUnreadExport(await service.pki.issue({ uris: [toSpiffeId('auditor')], notAfter }));
    const lasting = await beginUnreadExport();
    service.clock.advance(16);
    await until(() => isCut(ending));
    expect(await isCut(lasting)).toBe(false);
  });
});

describe('exports', () => {
  it('run two at a time for one identity, and the third is refused with a time to come back', async () => {
    const [first] = [await beginUnreadExport(), await beginUnreadExport()];
    const third = await service.client.call('auditor', 'GET', '/v1/audit/export?from=0&to=1');
    expect(third).toMatchObject({ status: 429, body: { type: 'urn:passkey-manager:problem:rate-limited' } });
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
    first.reset();
    await until(
      async () => (await service.client.call('auditor', 'GET', '/v1/audit/export?from=0&to=1')).status === 200,
    );
  });

  it('do not count as running after they were refused or aborted', async () => {
    for (let n = 0; n < 5; n += 1) {
      expect((await service.client.call('auditor', 'GET', '/v1/audit/export?from=x')).status).toBe(400);
      const left = await connections.connect('auditor');
      left.socket.write(EXPORT);
      if (n % 2 === 0) await sleep(5);
      left.reset();
    }
    await until(
      async () => (await service.client.call('auditor', 'GET', '/v1/audit/export?from=0&to=1')).status === 200,
    );
  });
});
