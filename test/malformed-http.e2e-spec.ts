import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Metrics } from '../src/telemetry/metrics.js';
import { RawConnection } from './support/raw-connection.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';
import { writeSlowly } from './support/write-slowly.js';

const MIB = 1_024 * 1_024;
const GET = 'GET /v1/credentials HTTP/1.1\r\nHost: localhost\r\n\r\n';
const PUT =
  'PUT /v1/relying-parties/login.example.com HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const BODY = JSON.stringify({ name: 'Login', origins: ['https://login.example.com'] });
const CHUNKED_BODY = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;

let service: TestService;
const open: RawConnection[] = [];
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());
afterEach(() => {
  for (const { socket } of open.splice(0)) socket.destroy();
});

async function connection(identity = 'operator'): Promise<RawConnection> {
  const made = await RawConnection.to(service, identity);
  open.push(made);
  return made;
}

async function answerTo(request: string, identity?: string): Promise<RawConnection> {
  const live = await connection(identity);
  live.socket.write(request);
  await live.answers(1);
  return live;
}

describe('the head of a request', () => {
  it.each([
    [
      'a second media type',
      `${PUT}Content-Type: text/plain\r\nContent-Length: ${String(BODY.length)}\r\n\r\n${BODY}`,
      400,
    ],
    ['a transfer coding beside chunked', `${PUT}Transfer-Encoding: gzip, chunked\r\n\r\n${CHUNKED_BODY}`, 415],
    ['another expectation', `${PUT}Expect: tea\r\nContent-Length: ${String(BODY.length)}\r\n\r\n${BODY}`, 400],
    [
      'a target of another host',
      `${PUT.replace('/v1', 'https://evil.example/v1')}Content-Length: ${String(BODY.length)}\r\n\r\n${BODY}`,
      400,
    ],
    [
      'a target of another host, which Host names too',
      `${PUT.replace('/v1', 'https://evil.example/v1').replace('Host: localhost', 'Host: evil.example')}Content-Length: ${String(BODY.length)}\r\n\r\n${BODY}`,
      400,
    ],
    [
      'a target of plain HTTP',
      `${PUT.replace('/v1', 'http://localhost/v1')}Content-Length: ${String(BODY.length)}\r\n\r\n${BODY}`,
      400,
    ],
  ])('with %s is refused, and nothing is changed', async (_, request, status) => {
    const before = await service.digestTables();
    const { statuses, received, body } = await answerTo(request);
    expect(statuses).toEqual([status]);
    expect(received).toMatch(/content-type: application\/problem\+json/i);
    expect(body).toMatchObject({ status });
    expect(await service.digestTables()).toEqual(before);
  });

  it('may have a target in absolute form that names the service', async () => {
    const { statuses } = await answerTo(GET.replace('/v1', 'https://localhost/v1'), 'auth-service');
    expect(statuses).toEqual([200]);
  });
});

describe('the version of a request', () => {
  it.each([
    ['HTTP/1.1', 200],
    ['HTTP/1.0', 200],
    ['HTTP/0.9', 400],
    ['HTTP/1.2', 400],
    ['HTTP/2.0', 400],
  ])('%s is answered %i', async (version, status) => {
    const { statuses } = await answerTo(GET.replace('HTTP/1.1', version), 'auth-service');
    expect(statuses).toEqual([status]);
  });
});

describe('input behind a request on its connection', () => {
  it.each([
    ['something other than HTTP', 'nonsense\r\n\r\n'],
    ['a CONNECT', 'CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['the beginning of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('does not replace the answer: %s', async (_, garbage) => {
    const live = await connection('auth-service');
    live.socket.write(GET + GET + garbage);
    await live.closed;
    expect(live.statuses).toEqual([200, 200, 400]);
    expect(live.body).toMatchObject({ type: 'urn:passkey-manager:problem:request-malformed' });
  });

  it('waits, so that thousands of requests at once are answered and none is shed', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => connection('auth-service')));
    for (const { socket } of all) socket.write(GET.repeat(500));
    for (const live of all) expect(new Set(await live.answers(500))).toEqual(new Set([200]));
  });

  it('is not processed when the connection is gone', async () => {
    await service.relyingParty('shop.example.com');
    const asked = JSON.stringify({ rpId: 'shop.example.com' });
    const live = await connection('auth-service');
    const post =
      `POST /v1/challenges/authentication HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${String(asked.length)}\r\n\r\n${asked}`;
    live.socket.write(post.repeat(2_000));
    await live.answers(1);
    live.socket.destroy();
    const issued = async (): Promise<number> => {
      const { values } = await service.running.app.get(Metrics, { strict: false }).challengesIssued.get();
      return values.reduce((sum, { value }) => sum + value, 0);
    };
    let count = await issued();
    await until(async () => {
      const before = count;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return before === (count = await issued());
    });
    expect(count).toBeLessThan(1_000);
  });
});

describe('a body that is too large', () => {
  it.each([
    ['announced', `Content-Length: ${String(2 * MIB)}\r\n\r\n`],
    ['in chunks', `Transfer-Encoding: chunked\r\n\r\n${(2 * MIB).toString(16)}\r\n`],
  ])('gets an answer that the client sees even if it sends 2 MiB first: %s', async (_, framing) => {
    const live = await connection();
    live.socket.pause();
    live.socket.write(PUT + framing);
    await writeSlowly(live.socket, Buffer.alloc(2 * MIB));
    live.socket.resume();
    await live.closed;
    expect(live.statuses).toEqual([413]);
    expect(live.body).toMatchObject({ type: 'urn:passkey-manager:problem:request-too-large' });
  });
});
