import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance } from 'fastify';
import { ProblemFilter } from '../problems/problem.filter.js';
import { Metrics } from './metrics.js';
import { limitInFlight } from './admission.js';

let server: FastifyInstance;
let metrics: Metrics;
let url: string;
/** Ends what is being answered. */
let answer: () => void;
let begun: number;

beforeEach(async () => {
  begun = 0;
  metrics = new Metrics();
  server = fastify();
  limitInFlight(server, metrics, 2);
  const problems = new ProblemFilter();
  server.setErrorHandler((error, request, reply) => {
    problems.render(error, request, reply);
  });
  const answered = new Promise<void>((resolve) => (answer = resolve));
  server.get('/', async () => {
    begun += 1;
    await answered;
    return 'done';
  });
  url = await server.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(() => server.close());

const metric = async (name: string): Promise<number | undefined> =>
  (await metrics.registry.getSingleMetric(name)!.get()).values[0]?.value;
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await sleep(5);
};

describe('requests beyond the bound', () => {
  it('are refused at once, and nothing is done for them', async () => {
    const taken = [fetch(url), fetch(url)];
    await until(() => begun === 2);
    const refused = await fetch(url);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ type: 'urn:passkey-manager:problem:unavailable' });
    expect(begun).toBe(2);
    expect(await metric('passkey_http_requests_in_flight')).toBe(2);
    expect(await metric('passkey_http_requests_shed_total')).toBe(1);
    answer();
    expect((await Promise.all(taken)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('are taken again as soon as there is room', async () => {
    const taken = [fetch(url), fetch(url)];
    await until(() => begun === 2);
    expect((await fetch(url)).status).toBe(503);
    answer();
    await Promise.all(taken);
    await until(async () => (await metric('passkey_http_requests_in_flight')) === 0);
    expect((await fetch(url)).status).toBe(200);
  });

  it('find room where a caller has hung up before its answer', async () => {
    for (let n = 0; n < 2; n += 1) {
      const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await until(() => begun === n + 1);
      socket.destroy();
    }
    await until(async () => (await metric('passkey_http_requests_in_flight')) === 0);
    const taken = fetch(url);
    await until(() => begun === 3);
    answer();
    expect((await taken).status).toBe(200);
  });
});
