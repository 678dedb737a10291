import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ConsoleServer } from '../commands/console/console-server.js';
import { Operations } from '../commands/console/operations.js';
import { readPageFiles } from '../commands/console/page-files.js';
import { ServiceCaller } from '../commands/service/service-caller.js';
import { TestService } from './support/service.js';

const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

let service: TestService;
let callers: ServiceCaller[];
let server: ConsoleServer;
let cookie: string;

beforeAll(async () => {
  service = await TestService.start();
  callers = [];
  server = await open();
  cookie = await enter(server);
});
afterAll(async () => {
  await server.close();
  for (const caller of callers) caller.close();
  await service.stop();
});

/** Opens the console of an auditor, as the program does. */
async function open({ url = service.running.httpsUrl, ca = service.pki.ca } = {}): Promise<ConsoleServer> {
  const { cert, key } = service.certificateOf('auditor');
  const files = { cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(ca) };
  const caller = new ServiceCaller(new URL(url), files);
  callers.push(caller);
  const parts = { operations: Operations.read(), files: readPageFiles('dist/console'), managementUrl: undefined };
  return ConsoleServer.listen({ service: caller, serviceUrl: new URL(url), ...parts });
}

/** Sends a request whose path stays as it is. */
async function ask(
  to: ConsoleServer,
  path: string,
  { method = 'GET', headers = {}, body }: Asked = {},
): Promise<Answer> {
  const outgoing = request({ host: '127.0.0.1', port: to.port, path, method, headers, agent: false });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { status: incoming.statusCode!, headers: incoming.headers, body: await text(incoming) };
}

/** Opens the printed address, and returns the cookie. */
async function enter(to: ConsoleServer): Promise<string> {
  const { pathname, search } = new URL(to.address);
  const { headers } = await ask(to, pathname + search, { headers: { 'sec-fetch-site': 'none' } });
  return headers['set-cookie']![0]!.split(';')[0]!;
}

/** Asks as the page does. */
function askAsPage(path: string, { headers, ...asked }: Asked = {}): Promise<Answer> {
  const origin = new URL(server.address).origin;
  return ask(server, path, { ...asked, headers: { ...SAME_ORIGIN, origin, cookie, ...headers } });
}

const slugOf = ({ body }: Answer): string => (JSON.parse(body) as { type: string }).type.split(':').at(-1)!;

describe('the address that the console prints', () => {
  it('works once, and buys a cookie that no script reads and no other site sends', async () => {
    const opened = await open();
    const { pathname, search } = new URL(opened.address);
    const first = await ask(opened, pathname + search, { headers: { 'sec-fetch-site': 'none' } });
    expect([first.status, first.headers.location, first.body]).toEqual([303, '/', '']);
    expect(first.headers['set-cookie']).toEqual([
      expect.stringMatching(/^passkey-console-\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/),
    ]);
    const second = await ask(opened, pathname + search, { headers: { 'sec-fetch-site': 'none' } });
    expect([second.status, second.headers['set-cookie']]).toEqual([403, undefined]);
    expect(second.body).toContain('This address has been used');
    await opened.close();
  });

  it('is not spent by a wrong token, by another site, or under another host', async () => {
    const opened = await open();
    const { pathname, search } = new URL(opened.address);
    const path = pathname + search;
    const tries = [
      await ask(opened, '/?token=', { headers: { 'sec-fetch-site': 'none' } }),
      await ask(opened, `${path}x`, { headers: { 'sec-fetch-site': 'none' } }),
      await ask(opened, path, { headers: { 'sec-fetch-site': 'cross-site' } }),
      await ask(opened, path, { headers: { 'sec-fetch-site': 'none', host: 'attacker.example' } }),
      await ask(opened, path, { headers: { 'sec-fetch-site': 'none' }, method: 'POST' }),
    ];
    expect(tries.map(({ status }) => status)).toEqual([401, 401, 403, 421, 405]);
    expect(await enter(opened)).toMatch(/^passkey-console-/);
    await opened.close();
  });
});

describe('a request without the cookie', () => {
  it.each([
    ['none', {}],
    ['a wrong one', { cookie: 'passkey-console=x' }],
  ])('gets neither page nor call: %s', async (_, headers) => {
    for (const path of ['/', '/console/main.js', '/nothing']) {
      const { status, body } = await ask(server, path, { headers: { ...SAME_ORIGIN, ...headers } });
      expect([status, body]).toEqual([401, expect.stringContaining('This browser has no session')]);
    }
    const call = await ask(server, '/api/v1/caller', { headers: { ...SAME_ORIGIN, ...headers } });
    expect([call.status, slugOf(call)]).toEqual([401, 'no-session']);
  });

  it('is one with the cookie of another console, with half of it, or with two of a name', async () => {
    const [name = '', value = ''] = cookie.split('=');
    const wrong = [`${name}1=${value}`, `${name}=${value.slice(1)}`, `${name}=`, `${cookie}; ${name}=x`, `x${cookie}`];
    for (const given of wrong) {
      const { status } = await ask(server, '/api/v1/caller', { headers: { ...SAME_ORIGIN, cookie: given } });
      expect([given, status]).toEqual([given, 401]);
    }
  });
});

describe('a request that another page sent', () => {
  it.each(['attacker.example', 'localhost:PORT', '127.0.0.1', '127.0.0.1:1', '[::1]:PORT', '127.0.0.1:PORT.'])(
    'under its own host (DNS rebinding) is refused: %j',
    async (host) => {
      const headers = { host: host.replace('PORT', String(server.port)) };
      for (const path of ['/', '/console/main.js', '/api/v1/caller'])
        expect((await askAsPage(path, { headers })).status).toBe(421);
    },
  );

  it.each(['none', 'same-site', 'cross-site', ''])('is refused as a call: Sec-Fetch-Site %j', async (site) => {
    const answer = await askAsPage('/api/v1/caller', { headers: { 'sec-fetch-site': site } });
    expect([answer.status, slugOf(answer)]).toEqual([403, 'foreign-request']);
  });

  it.each(['same-site', 'cross-site', ''])('is refused as a visit: Sec-Fetch-Site %j', async (site) => {
    expect((await askAsPage('/', { headers: { 'sec-fetch-site': site } })).status).toBe(403);
  });

  it.each(['http://attacker.example', 'http://localhost', 'null', 'http://127.0.0.1:1', ''])(
    'is refused if it names another origin: %j',
    async (origin) => {
      expect((await askAsPage('/api/v1/caller', { headers: { origin } })).status).toBe(403);
      expect((await askAsPage('/', { headers: { origin } })).status).toBe(403);
    },
  );

  it('is refused as a call that changes something and names no origin', async () => {
    const path = '/api/v1/credentials/01a22ef2-4b47-7353-ba8b-cd9a933a1492/revoke';
    const headers = { ...SAME_ORIGIN, cookie, 'content-type': 'application/json' };
    expect((await ask(server, path, { method: 'POST', headers, body: '{}' })).status).toBe(403);
  });

  it('is refused in a form or a script that posts to the page', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect((await askAsPage('/', { method })).status).toBe(405);
  });
});

describe('the closed list of operations', () => {
  it.each([
    ['POST', '/api/v1/challenges/authentication'],
    ['POST', '/api/v1/credentials/verify'],
    ['POST', '/api/v1/credentials/import'],
    ['GET', '/api/v1/credentials/export'],
    ['DELETE', '/api/v1/users/ada'],
    ['DELETE', '/api/v1/credentials/1'],
    ['GET', '/api/v1/signals/streams'],
    ['GET', '/api/openapi.json'],
    ['GET', '/api/metrics'],
    ['GET', '/api/'],
    ['GET', '/api//attacker.example/v1/caller'],
    ['GET', '/api/v1/caller/'],
    ['GET', '/api/v1/caller/../credentials/export'],
    ['GET', '/api/v1/audit/events/..'],
    ['GET', '/api/v1/audit/events/%2e%2E'],
    ['GET', '/api/v1/audit/events/.%2e/export'],
    ['POST', '/api/v1/users/%2e%2e/revoke'],
    ['GET', '/api/v1\\caller'],
    ['GET', '/api/v1/audit/events/a\\..\\b'],
    ['GET', '/api/v1/audit/events/%zz'],
  ])('has no %s %s', async (method, path) => {
    const answer = await askAsPage(path, { method });
    expect([answer.status, slugOf(answer)]).toEqual([404, 'not-passed-on']);
  });

  it('passes an operation on with the certificate of the person, and its answer as it comes', async () => {
    const caller = await askAsPage('/api/v1/caller');
    expect([caller.status, JSON.parse(caller.body)]).toEqual([
      200,
      expect.objectContaining({ id: 'spiffe://passkey-manager.local/auditor' }),
    ]);
    const list = await askAsPage('/api/v1/audit/events?type=audit.read&limit=1');
    expect([list.status, JSON.parse(list.body)]).toEqual([200, expect.objectContaining({ nextCursor: null })]);
    const again = await askAsPage('/api/v1/audit/events?type=audit.read&limit=1');
    expect(again.body).toContain('"app_uid":"spiffe://passkey-manager.local/auditor"');
  });

  it('adds no right: the service refuses what the policy does not grant', async () => {
    const answer = await askAsPage('/api/v1/credentials?rpId=login.example.com');
    expect([answer.status, slugOf(answer)]).toEqual([403, 'permission-denied']);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.body)).toHaveProperty('instance');
  });

  it('streams an export, and passes the time to wait and the type', async () => {
    const answer = await askAsPage('/api/v1/audit/export');
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/x-ndjson']);
    expect(answer.body.trimEnd().split('\n').at(-1)).toContain('"kind":"proof"');
  });

  it('takes no body that the service would not take', async () => {
    const path = '/api/v1/users/ada/revoke?rpId=login.example.com';
    const headers = { 'content-type': 'application/json' };
    for (const length of [65_537, 8_000_000]) {
      const body = JSON.stringify({ reason: 'x'.repeat(length) });
      const answer = await askAsPage(path, { method: 'POST', headers, body });
      expect([answer.status, slugOf(answer)]).toEqual([413, 'request-too-large']);
    }
  });
});

describe('the files of the page', () => {
  it.each([
    ...['/../package.json', '/console/../../package.json', '/%2e%2e/package.json', '/..%2f..%2fpackage.json'],
    ...['/console/..%5c..%5cpackage.json', '//etc/passwd', '/etc/passwd', '/console/tsconfig.json', '/console'],
    ...['/commands/console.js', '/src/main.js', '/vendor/lit-html/../../../package.json', '/__proto__', '/constructor'],
  ])('do not have %s', async (path) => {
    const { status, body } = await askAsPage(path);
    expect([status, body]).toEqual([404, expect.stringContaining('No such page')]);
  });

  it('are the page, its styles, its modules and those that these import', async () => {
    const types = await Promise.all(
      ['/', '/console/style.css', '/console/main.js', '/src/tlog/merkle.js', '/vendor/lit-html/lit-html.js'].map(
        async (path) => (await askAsPage(path)).headers['content-type'],
      ),
    );
    expect(types.map((type) => type!.split(';')[0])).toEqual([
      'text/html',
      'text/css',
      ...['text/javascript', 'text/javascript', 'text/javascript'],
    ]);
  });
});

describe('every answer', () => {
  it.each(['/', '/console/main.js', '/nothing', '/api/v1/caller', '/api/nothing', '/api/v1/audit/key', '/api/console'])(
    'admits the console’s own scripts alone, and is kept by nobody: %s',
    async (path) => {
      const { headers } = await askAsPage(path);
      expect(headers).toMatchObject({
        'content-security-policy':
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
      });
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    },
  );
});

describe('a service that gives no answer', () => {
  /** A port of this machine where nothing listens, or where something other than a service does. */
  async function occupy(): Promise<{ occupied: Server; url: string }> {
    const occupied = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(occupied, 'listening');
    return { occupied, url: `https://127.0.0.1:${String((occupied.address() as AddressInfo).port)}` };
  }

  it('is a problem that says what to do next', async () => {
    const { occupied, url } = await occupy();
    occupied.close();
    const foreign = service.certificateOf('auditor').cert;
    const cases = [
      [
        await open({ url }),
        new RegExp(
          `^Tried ${url}\\. Nothing listens there\\. Start the service, .*--url.*PASSKEY_HTTPS_PORT.*ECONNREFUSED`,
        ),
      ],
      [await open({ ca: foreign }), /does not lead to an authority of --ca/],
    ] as const;
    for (const [opened, detail] of cases) {
      const headers = { ...SAME_ORIGIN, cookie: await enter(opened) };
      const answer = await ask(opened, '/api/v1/caller', { headers });
      expect([answer.status, slugOf(answer)]).toEqual([502, 'service-unreachable']);
      expect((JSON.parse(answer.body) as { detail: string }).detail).toMatch(detail);
      await opened.close();
    }
  });

  it('is no reason to show metrics that nobody named', async () => {
    const answer = await askAsPage('/api/management/metrics');
    expect([answer.status, slugOf(answer)]).toEqual([404, 'management-not-given']);
  });
});
