import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { RawConnections } from './support/raw-connection.js';
import { toSpiffeId, TestService } from './support/service.js';
import { until } from './support/until.js';

let service: TestService;
let connections: RawConnections;
let began: number;
beforeEach(async () => {
  began = performance.now();
  service = await TestService.start();
  service.clock.freeze();
  connections = new RawConnections(service);
});
afterEach(async () => {
  connections.close();
  await service.stop();
});

/** Counts how often the service has written the counted refusals: every ten seconds, and when it stops. */
const countWrites = (): number => Math.floor((performance.now() - began) / 10_000) + 1;

const GET = 'GET /v1/audit/events HTTP/1.1\r\nHost: localhost\r\n\r\n';

interface Recorded {
  /** The caller's name, or the address of a handshake. */
  by: string;
  records: number;
  refused: number;
}

/** Returns the refusals in the log, after the service has stopped. */
async function recorded(type: string): Promise<Recorded[]> {
  await service.running.stop();
  return service.sql<Recorded>(
    `SELECT coalesce(event #>> '{actor,app_uid}', event #>> '{src_endpoint,ip}') AS by, count(*)::integer AS records,
            sum(1 + coalesce((event #>> '{unmapped,refused_before_unrecorded}')::integer, 0))::integer AS refused
       FROM (SELECT event::jsonb AS event FROM audit_event WHERE type = $1) AS events GROUP BY by ORDER BY by`,
    [type],
  );
}

describe('refused requests', () => {
  it('cost the log a bounded number of records, which give the exact number of refusals, also when the service stops', async () => {
    const strangers = await connections.connectMany('stranger', 10);
    for (const { socket } of strangers) socket.write(GET.repeat(70));
    const operator = await service.client.call('operator', 'GET', '/v1/audit/events');
    expect(operator.status).toBe(403);
    await until(() => strangers.every(({ statuses }) => statuses.length === 70));
    const statuses = strangers.flatMap((connection) => connection.statuses);
    expect(statuses.filter((status) => status === 403)).toHaveLength(600);
    expect(statuses.filter((status) => status === 429)).toHaveLength(100);
    const { status, headers } = await service.client.call('stranger', 'GET', '/v1/audit/events');
    expect(status).toBe(429);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    const told = await recorded('access.denied');
    expect(told).toEqual([
      { by: toSpiffeId('operator'), records: 1, refused: 1 },
      { by: toSpiffeId('stranger'), records: expect.any(Number), refused: 701 },
    ]);
    expect(told[1]!.records).toBeLessThanOrEqual(60 + countWrites());
  });

  it('leave a welcome caller its sign-ins', async () => {
    const phone = new Authenticator();
    const parties = await service.relyingParty('login.example.com');
    await parties.registered('ada', phone);
    const strangers = await connections.connectMany('stranger', 50);
    for (const { socket } of strangers) socket.write(GET.repeat(40));
    for (let time = 0; time < 10; time += 1) await parties.authenticated(phone);
    await parties.registered('beside a flood', new Authenticator());
  });
});

describe('refused handshakes', () => {
  async function knock(localAddress: string, times: number): Promise<void> {
    const port = Number(new URL(service.running.httpsUrl).port);
    for (let time = 0; time < times; time += 1) {
      const socket = connect({ host: '127.0.0.1', port, localAddress }).on('error', () => undefined);
      socket.resume().write('no TLS\r\n');
      await once(socket, 'close');
    }
  }

  it('cost the log a bounded number of records for each address, which give the exact number of refusals', async () => {
    await knock('127.0.0.1', 50);
    await knock('127.0.0.2', 3);
    const told = await recorded('handshake.refused');
    expect(told).toEqual([
      { by: '127.0.0.1', records: expect.any(Number), refused: 50 },
      { by: '127.0.0.2', records: expect.any(Number), refused: 3 },
    ]);
    expect(told[0]!.records).toBeLessThanOrEqual(20 + countWrites());
  });
});
