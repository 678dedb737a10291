import { request } from 'node:https';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Problem } from './support/bodies.js';
import type { Answer, RawRequest } from './support/client.js';
import { requireStatus } from './support/ceremonies.js';
import { expectInvalid, FOUL_STRINGS, listLeaves, listMistyped, nest, replaceAt } from './support/malformed.js';
import { TestService } from './support/service.js';

const NOWHERE = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
const JSON_TYPE = { 'content-type': 'application/json' };

interface Route {
  readonly identity: string;
  readonly method: string;
  readonly path: string;
  /** A well-formed request, which the service may still refuse. */
  readonly body: Record<string, unknown>;
  /** Members that the browser may omit, leave null or empty, or fill freely. Other tests try their values. */
  readonly open?: readonly string[];
  /** The object that the browser writes, which may have members that the contract does not know. */
  readonly browser?: string;
}

let service: TestService;
let state: Record<string, string>;
let ROUTES: Route[];

beforeAll(async () => {
  service = await TestService.start();
  const login = await service.relyingParty('login.example.com');
  const authenticator = new Authenticator();
  const { publicKey } = requireStatus(await login.requestRegistration('ada'), 201);
  const creation = authenticator.create(publicKey, login.origin);
  const assertion = authenticator.get({ rpId: login.rpId, challenge: publicKey.challenge }, login.origin);
  const { id } = await login.registered('grace', new Authenticator());
  const auth = (method: string, path: string, body: Record<string, unknown>, open?: string[]): Route => ({
    identity: 'auth-service',
    method,
    path,
    body,
    ...(open ? { open, browser: '/response' } : {}),
  });
  const hints = ['security-key'];
  const every = {
    authenticatorAttachment: 'platform',
    hints,
    mediation: 'conditional',
    payment: false,
    purpose: 'sign-up',
  };
  const unsolicited = [
    '/response/clientExtensionResults',
    '/response/authenticatorAttachment',
    '/response/response/userHandle',
    '/response/response/publicKey',
    '/response/response/authenticatorData',
    '/response/response/transports',
  ];
  ROUTES = [
    auth('POST', '/v1/challenges/registration', login.registrationRequest('ada', every)),
    auth('POST', '/v1/credentials', { challengeId: NOWHERE, response: creation, name: 'Laptop' }, unsolicited),
    auth('POST', '/v1/challenges/authentication', { rpId: login.rpId, userId: 'ada', purpose: 'sign-in', hints }),
    auth(
      'POST',
      '/v1/credentials/verify',
      { challengeId: NOWHERE, response: assertion, purpose: 'sign-in' },
      unsolicited,
    ),
    auth('PATCH', `/v1/credentials/${id}`, { name: 'Laptop' }),
    auth('POST', `/v1/credentials/${NOWHERE}/suspend`, { reason: 'lost' }),
    auth('POST', `/v1/credentials/${NOWHERE}/reinstate`, { reason: 'found' }),
    auth('POST', `/v1/credentials/${NOWHERE}/revoke`, { reason: 'stolen' }),
    {
      identity: 'operator',
      method: 'PUT',
      path: '/v1/relying-parties/new.example.com',
      body: {
        rpId: 'new.example.com',
        name: 'New',
        origins: ['https://new.example.com'],
        enabled: true,
        policy: {
          userVerification: 'required',
          residentKey: 'required',
          attestation: { conveyance: 'none', trust: 'any', formats: ['none'] },
          authenticators: { allow: [NOWHERE], deny: [NOWHERE], unknown: 'allow' },
          algorithms: [-7],
          backup: 'any',
          maxCredentialsPerUser: 5,
          challengeTtlSeconds: 300,
          signCountRegression: 'reject',
          allowSha1Tpm: true,
          crossOrigin: { allow: false, topOrigins: ['https://top.example'] },
          identityProof: { required: true, maxAgeSeconds: 900 },
          purposes: {
            pay: {
              userVerification: 'required',
              challengeTtlSeconds: 60,
              backup: 'any',
              attestation: 'any',
              maxAgeSeconds: 900,
            },
          },
        },
        version: 99,
      },
    },
  ];
  await service.client.call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name: 'Laptop' });
  state = await service.digestTables();
});
afterAll(async () => {
  const after = await service.digestTables();
  await service.stop();
  expect(after).toEqual(state);
});

const ROUTE_NAMES: [string, number][] = [
  ['POST /v1/challenges/registration', 0],
  ['POST /v1/credentials', 1],
  ['POST /v1/challenges/authentication', 2],
  ['POST /v1/credentials/verify', 3],
  ['PATCH /v1/credentials/{id}', 4],
  ['POST /v1/credentials/{id}/suspend', 5],
  ['POST /v1/credentials/{id}/reinstate', 6],
  ['POST /v1/credentials/{id}/revoke', 7],
  ['PUT /v1/relying-parties/{rpId}', 8],
];

const route = (at: number): Route => ROUTES[at] as Route;

const post = ({ identity, method, path }: Route, raw: RawRequest): Promise<Answer<Problem>> =>
  service.client.send<Problem>(identity, method, path, { headers: JSON_TYPE, ...raw });

const postJson = (to: Route, body: unknown): Promise<Answer<Problem>> => post(to, { body: JSON.stringify(body) });

describe.each(ROUTE_NAMES)('%s', (name, at) => {
  it('accepts the request that the other cases alter', async () => {
    if (name.startsWith('POST /v1/challenges') || name.startsWith('PATCH')) return;
    expect([404, 409]).toContain((await postJson(route(at), route(at).body)).status);
  });

  it.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['text that is not JSON', '{"rpId": '],
    ['two documents', '{}{}'],
    ['an array', '[]'],
    ['null', 'null'],
    ['text', '"text"'],
    ['a number', '1e400'],
    ['a byte order mark', '\ufeff'],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    ['20,000 nested arrays', nest(20_000, '[', ']', '')],
    ['10,000 nested objects', nest(10_000)],
    ['a prototype', '{"__proto__":{"rpId":"login.example.com"}}'],
    ['a constructor', '{"constructor":{"prototype":{"x":1}}}'],
  ])('refuses a body of %s', async (_, body) => {
    const answer = await post(route(at), { body });
    expect(answer).toMatchObject({ status: 400, body: { type: 'urn:passkey-manager:problem:request-malformed' } });
    expect(answer.body.invalid).toBeInstanceOf(Array);
  });

  it('refuses every member of another type, and names it', async () => {
    const { body, open = [] } = route(at);
    const members = listLeaves(body).filter(({ pointer }) => !open.some((prefix) => pointer.startsWith(prefix)));
    for (const { pointer, path, value } of members) {
      for (const [kind, wrong] of listMistyped(value)) {
        expectInvalid(await postJson(route(at), replaceAt(body, path, wrong)), pointer, `${pointer}: ${kind}`);
      }
    }
  });

  it('refuses unknown members at every depth that the caller writes, and names them', async () => {
    const { body, browser = '-' } = route(at);
    const objects = listLeaves(body).filter(
      ({ value, pointer }) => typeof value === 'object' && !Array.isArray(value) && !pointer.startsWith(browser),
    );
    for (const path of [[], ...objects.map((member) => member.path)]) {
      for (const surprise of ['surprise', 'toString', 'constructor', 'origin']) {
        const answer = await postJson(route(at), replaceAt(body, [...path, surprise], 'x'));
        expectInvalid(answer, `/${[...path, surprise].join('/')}`, surprise);
      }
    }
  });

  it('refuses text that no member may hold, and names the member', async () => {
    const { body, open = [] } = route(at);
    const texts = listLeaves(body).filter(
      ({ value, pointer }) => typeof value === 'string' && !open.some((prefix) => pointer.startsWith(prefix)),
    );
    for (const { pointer, path } of texts) {
      for (const [kind, foul] of FOUL_STRINGS) {
        if (kind === '60,000 characters' && pointer.startsWith('/response/')) continue;
        if (kind === 'nothing' && pointer === '/user/displayName') continue;
        expectInvalid(await postJson(route(at), replaceAt(body, path, foul)), pointer, `${pointer}: ${kind}`);
      }
    }
  });

  it('refuses a member that occurs twice, whatever its value is', async () => {
    const { body } = route(at);
    const [[name, value] = ['', '']] = Object.entries(body);
    const text = `{${JSON.stringify(name)}:${JSON.stringify(value)},${JSON.stringify(body).slice(1)}`;
    const answer = await post(route(at), { body: text });
    expect(answer.status).toBe(400);
    expect(answer.body.invalid).toEqual([{ pointer: '', detail: 'the body names a member twice' }]);
  });

  it('refuses a body over 64 KiB, announced or not', async () => {
    const large = JSON.stringify({ ...route(at).body, padding: 'x'.repeat(65 * 1_024) });
    const expected = { status: 413, body: { type: 'urn:passkey-manager:problem:request-too-large' } };
    expect(await post(route(at), { body: large })).toMatchObject(expected);
    expect(await chunked(route(at), large)).toBe(413);
  });

  it('refuses 20,000 levels of nesting inside a member', async () => {
    const [member = ''] = Object.keys(route(at).body);
    const answer = await post(route(at), { body: `{"${member}":${nest(20_000, '[', ']', '')}}` });
    expect(answer.status).toBe(400);
  });

  it.each<[string, Record<string, string>]>([
    ['text/plain', { 'content-type': 'text/plain' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a multipart form', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['XML', { 'content-type': 'application/xml' }],
    ['no media type', {}],
    ['a malformed media type', { 'content-type': 'application' }],
    ['UTF-16', { 'content-type': 'application/json; charset=utf-16' }],
  ])('refuses %s', async (_, headers) => {
    const answer = await post(route(at), { headers, body: JSON.stringify(route(at).body) });
    expect(answer).toMatchObject({ status: 415, body: { type: 'urn:passkey-manager:problem:media-type-unsupported' } });
  });

  it.each(['gzip', 'deflate', 'br', 'zstd', 'identity, gzip'])('refuses a body encoded as %s', async (encoding) => {
    const headers = { ...JSON_TYPE, 'content-encoding': encoding };
    const answer = await post(route(at), { headers, body: gzipSync(JSON.stringify(route(at).body)) });
    expect(answer.status).toBe(415);
  });
});

/** Sends a body without announcing its length, and returns the status. */
function chunked({ identity, method, path }: Route, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(service.running.httpsUrl);
    const options = { hostname, port, method, path, ca: service.pki.ca, ...service.pki.certificateOf(identity) };
    const outgoing = request({ ...options, headers: { ...JSON_TYPE, 'transfer-encoding': 'chunked' } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
