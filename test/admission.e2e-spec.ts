import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Ceremonies } from './support/ceremonies.js';
import { RawConnections } from './support/raw-connection.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

let service: TestService;
let connections: RawConnections;
let parties: Ceremonies<string>;
const phone = new Authenticator();
beforeAll(async () => {
  service = await TestService.start();
  connections = new RawConnections(service);
  parties = await service.relyingParty('login.example.com');
  await parties.registered('ada', phone);
});
afterEach(() => {
  connections.close();
});
afterAll(() => service.stop());

const RUNNING = 'passkey_http_requests_in_flight';
const SHED = 'passkey_http_requests_shed_total';

/** Sends half of a body of 60,000 bytes. */
const STALLED =
  'POST /v1/challenges/authentication HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
  `Content-Length: 60000\r\n\r\n${'{'.padEnd(30_000)}`;
const LIST = 'GET /v1/relying-parties HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Runs ceremonies of an admitted caller, none of which may fail. */
async function signIn(times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) await parties.authenticated(phone);
}

describe('auth-service signs users in and registers passkeys', () => {
  it('while an operator holds 260 requests without their bodies', async () => {
    const stalled = await connections.connectMany('operator', 260);
    for (const { socket } of stalled) socket.write(STALLED);
    await signIn(5);
    await parties.registered('beside stalled bodies', new Authenticator());
    expect(await service.readMetric(RUNNING)).toBe(0);
    expect(stalled.flatMap(({ statuses }) => statuses)).toEqual([]);
  });

  it('while a stranger opens 130 connections, of which 100 stay', async () => {
    const strangers = await connections.connectMany('stranger', 130);
    for (const { socket } of strangers) socket.write(STALLED);
    await signIn(2);
    await until(() => strangers.filter(({ socket }) => socket.destroyed).length === 30);
  });

  it('while an operator sends 400 requests at once', async () => {
    const flood = await connections.connectMany('operator', 100);
    for (const { socket } of flood) socket.write(LIST.repeat(4));
    await signIn(10);
    await parties.registered('beside a flood', new Authenticator());
    await until(() => flood.flatMap(({ statuses }) => statuses).length === 400);
    expect(await service.readMetric(SHED)).toBeGreaterThan(0);
  });

  it('while an operator’s connections are reset in the middle of their requests, and the requests that run come to an end', async () => {
    for (let round = 0; round < 3; round += 1) {
      const flood = await connections.connectMany('operator', 40);
      for (const { socket } of flood) socket.write(LIST.repeat(8));
      await signIn(1);
      for (const connection of flood) connection.reset();
      await parties.registered(`after reset ${String(round)}`, new Authenticator());
    }
    await until(async () => (await service.readMetric(RUNNING)) === 0);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => service.client.call('operator', 'GET', '/v1/relying-parties')),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('when it sends 200 requests at once, more than its share, because they wait for each other', async () => {
    const before = await service.readMetric(SHED);
    const many = await connections.connectMany('auth-service', 200);
    const body = JSON.stringify({ rpId: 'login.example.com' });
    const head = `POST /v1/challenges/authentication HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    for (const { socket } of many) socket.write(`${head}Content-Length: ${String(body.length)}\r\n\r\n${body}`);
    await until(() => many.every(({ statuses }) => statuses.length === 1));
    expect(new Set(many.flatMap(({ statuses }) => statuses))).toEqual(new Set([201]));
    expect(await service.readMetric(SHED)).toBe(before);
  });
});
