import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Problem, makeProblem } from './support/bodies.js';
import type { Answer } from './support/client.js';
import type { Operation } from './support/contract.js';
import { expectInvalid } from './support/malformed.js';
import { toSpiffeId, TestService } from './support/service.js';

const NOWHERE = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Development's policy, in which the operator also decides requests for approval. */
const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions:
      [passkeys:register, passkeys:authenticate, passkeys:confirm, payments:confirm, passkeys:read, passkeys:manage, events:manage, events:receive]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:read, passkeys:erase, passkeys:export, approvals:decide]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read, audit:export, statistics:read]
approvals:
  permissions: [passkeys:erase]
`;

let service: TestService;
let state: Record<string, string>;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: POLICY });
  const login = await service.relyingParty('login.example.com');
  await login.requestRegistration('ada');
  state = await service.digestTables();
});
afterAll(async () => {
  const after = await service.digestTables();
  await service.stop();
  expect(after).toEqual(state);
});

describe('malformed query parameters', () => {
  const get = (identity: string, path: string): Promise<Answer<Problem>> =>
    service.client.send<Problem>(identity, 'GET', path);

  it.each<[string, string, string]>([
    ['auth-service', '/v1/credentials?surprise=1', '/surprise'],
    ['auth-service', '/v1/credentials?__proto__=1', '/__proto__'],
    ['auth-service', '/v1/credentials?limit=1&constructor=1', '/constructor'],
    ['auditor', '/v1/audit/events?toString=1', '/toString'],
    ['auth-service', '/v1/credentials?rpId=a.example&rpId=b.example', '/rpId'],
    ['auth-service', '/v1/credentials?rpId[]=a.example', '/rpId[]'],
    ['auth-service', '/v1/credentials?rpId[x]=a.example', '/rpId[x]'],
    ['auth-service', '/v1/credentials?rpId=', '/rpId'],
    ['auth-service', '/v1/credentials?rpId=A.example', '/rpId'],
    ['auth-service', '/v1/credentials?status=unknown', '/status'],
    ['auth-service', '/v1/credentials?status=active&status=revoked', '/status'],
    ['auth-service', '/v1/credentials?userId=a%00b', '/userId'],
    ['auth-service', `/v1/credentials?userId=${'a'.repeat(257)}`, '/userId'],
    ['auth-service', '/v1/credentials?aaguid=yubikey', '/aaguid'],
    ['auth-service', '/v1/credentials?algorithm=-7&algorithm=-257', '/algorithm'],
    ['auth-service', '/v1/credentials?unusedSince=2026', '/unusedSince'],
    ['auth-service', '/v1/credentials?unusedSince=0000-01-01T00:00:00Z', '/unusedSince'],
    ['auth-service', '/v1/credentials?limit=0', '/limit'],
    ['auth-service', '/v1/credentials?limit=-1', '/limit'],
    ['auth-service', '/v1/credentials?limit=201', '/limit'],
    ['auth-service', '/v1/credentials?limit=1.5', '/limit'],
    ['auth-service', '/v1/credentials?limit=1e1', '/limit'],
    ['auth-service', '/v1/credentials?limit=0x10', '/limit'],
    ['auth-service', '/v1/credentials?limit=ten', '/limit'],
    ['auth-service', '/v1/credentials?limit=', '/limit'],
    ['auth-service', '/v1/credentials?limit=%2010', '/limit'],
    ['auth-service', '/v1/credentials?limit=1&limit=2', '/limit'],
    ['auth-service', '/v1/credentials?cursor=nonsense', '/cursor'],
    ['auth-service', `/v1/credentials?cursor=${'A'.repeat(2_000)}`, '/cursor'],
    ['auth-service', '/v1/credentials?cursor=%00', '/cursor'],
    ['operator', '/v1/credentials/export', '/rpId'],
    ['operator', '/v1/credentials/export?rpId=a.example&rpId=b.example', '/rpId'],
    ['auth-service', '/v1/users/ada/signals', '/rpId'],
    ['auth-service', '/v1/users/ada/signals?rpId=login.example.com&rpId=other.example.com', '/rpId'],
    ['operator', '/v1/caller?id=x', '/id'],
    ['auditor', '/v1/statistics', '/rpId'],
    ['auditor', '/v1/statistics?rpId=a.example&rpId=b.example', '/rpId'],
    ['auditor', '/v1/statistics?rpId=login.example.com&from=2026-03-01', '/from'],
    ['operator', '/v1/approvals?status=done', '/status'],
    ['operator', '/v1/approvals?status=pending&status=pending', '/status'],
    ['operator', '/v1/approvals?rpId=login.example.com', '/rpId'],
    ['operator', '/v1/approvals?limit=201', '/limit'],
    ['operator', '/v1/approvals?cursor=nonsense', '/cursor'],
    ['operator', '/v1/approvals/x', '/id'],
    ['auth-service', '/v1/signals/status', '/stream_id'],
    ['auth-service', '/v1/signals/status?stream_id=%00', '/stream_id'],
    ['auth-service', '/v1/signals/streams?stream_id=a&stream_id=b', '/stream_id'],
    ['auth-service', '/v1/signals/streams?limit=1', '/limit'],
    ['auditor', '/v1/audit/events?from=yesterday', '/from'],
    ['auditor', '/v1/audit/events?from=0000-01-01T00:00:00Z', '/from'],
    ['auditor', '/v1/audit/events?to=9999-12-31T23:59:59-00:01', '/to'],
    ['auditor', '/v1/audit/export?from=0000-01-01T00:00:00Z', '/from'],
    ['auditor', '/v1/audit/export?to=9999-12-31T23:59:59-00:01', '/to'],
    ['auditor', '/v1/audit/events?to=2026-02-30T00:00:00Z', '/to'],
    ['auditor', '/v1/audit/events?from=2026-01-01', '/from'],
    ['auditor', '/v1/audit/events?outcome=maybe', '/outcome'],
    ['auditor', '/v1/audit/events?type=no.such.type', '/type'],
    ['auditor', '/v1/audit/events?actor=a%00b', '/actor'],
    ['auditor', '/v1/audit/events?surprise=1', '/surprise'],
    ['auditor', '/v1/audit/events?limit=1000000', '/limit'],
    ['auditor', '/v1/audit/events?cursor=nonsense', '/cursor'],
  ])('are refused: %s sends GET %s', async (identity, path, pointer) => {
    expectInvalid(await get(identity, path), pointer, path);
  });
});

describe('query parameters of a route that takes none', () => {
  const identityOf = (permission: string): string =>
    /^(?:passkeys|payments|events)/.test(permission)
      ? 'auth-service'
      : permission.startsWith('audit')
        ? 'auditor'
        : 'operator';

  it('are refused, each by its name, on every such route', async () => {
    const takesQuery = (document: Operation['document']): boolean =>
      ((document['parameters'] ?? []) as { in?: string }[]).some((parameter) => parameter.in === 'query');
    const routes = service.contract.operations.filter(
      ({ path, document }) => !takesQuery(document) && !path.startsWith('/v1/users/'),
    );
    expect(routes.length).toBeGreaterThan(15);
    for (const { method, path, document } of routes) {
      const target = `${path.replaceAll('{rpId}', 'login.example.com').replaceAll('{id}', NOWHERE)}?a~b=1&rpId=x`;
      const identity = identityOf(String(document['x-permission']));
      const { status, body } = await service.client.send<Problem>(identity, method, target);
      const detail = 'is not a parameter of the contract';
      expect({ target, status, invalid: body.invalid }).toEqual({
        target,
        status: 400,
        invalid: [
          { pointer: '/a~0b', detail },
          { pointer: '/rpId', detail },
        ],
      });
    }
  });

  it('reveal nothing to a stranger', async () => {
    const answer = await service.client.send('stranger', 'GET', '/v1/audit/key?surprise=1');
    expect(answer).toMatchObject(makeProblem(403, 'permission-denied'));
  });

  it('are not what a question mark alone gives', async () => {
    expect(await service.client.send('auditor', 'GET', '/v1/audit/key?')).toMatchObject({ status: 200 });
  });
});

describe('a path', () => {
  const send = (identity: string, method: string, path: string): Promise<Answer<Problem>> =>
    service.client.send<Problem>(identity, method, path);

  it.each<[string, string, string]>([
    ['auth-service', 'GET', '/v1/credentials/not-a-uuid'],
    ['auth-service', 'GET', '/v1/credentials/0'],
    ['auth-service', 'GET', `/v1/credentials/${NOWHERE}%00`],
    ['auth-service', 'GET', "/v1/credentials/'%20OR%201=1"],
    ['auth-service', 'GET', `/v1/credentials/${'a'.repeat(2_000)}`],
    ['auth-service', 'GET', '/v1/users/%00/signals?rpId=login.example.com'],
    ['auth-service', 'GET', `/v1/users/${'a'.repeat(257)}/signals?rpId=login.example.com`],
    ['auth-service', 'POST', `/v1/users/${'a'.repeat(257)}/revoke?rpId=login.example.com`],
    ['auth-service', 'GET', '/v1/users/%zz/signals?rpId=login.example.com'],
    ['auth-service', 'GET', '/v1/users/%ff/signals?rpId=login.example.com'],
    ['auth-service', 'GET', '/v1/users/%ed%a0%80/signals?rpId=login.example.com'],
    ['auth-service', 'GET', '/v1/credentials?userId=%zz'],
    ['auth-service', 'GET', '/v1/credentials?userId=%ff'],
    ['operator', 'DELETE', '/v1/users/%00?rpId=login.example.com'],
    ['operator', 'DELETE', '/v1/users/ada'],
    ['operator', 'DELETE', '/v1/users/ada?rpId=Login.example.com'],
    ['operator', 'GET', '/v1/relying-parties/UPPER.example.com'],
    ['operator', 'GET', '/v1/relying-parties/%2e%2e'],
    ['operator', 'GET', `/v1/relying-parties/${'a'.repeat(300)}.example.com`],
    ['auditor', 'GET', '/v1/audit/events/not-a-uuid'],
    ['auditor', 'GET', '/v1/audit/events/%'],
  ])('that is malformed is refused: %s sends %s %s', async (identity, method, path) => {
    const answer = await send(identity, method, path);
    expect([400, 404, 414]).toContain(answer.status);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it.each<[string, string]>([
    ['GET', '/'],
    ['GET', '/v1'],
    ['GET', '/v2/credentials'],
    ['GET', '/v1/credentials/'],
    ['GET', '//v1/credentials'],
    ['GET', '/v1//credentials'],
    ['GET', '/V1/credentials'],
    ['GET', '/v1/credentials;x=1'],
    ['PUT', '/v1/credentials'],
    ['DELETE', '/v1/credentials'],
    ['DELETE', `/v1/credentials/${NOWHERE}`],
    ['OPTIONS', '/v1/credentials'],
    ['TRACE', '/v1/credentials'],
    ['PROPFIND', '/v1/credentials'],
    ['POST', `/v1/credentials/${NOWHERE}/destroy`],
    ['GET', '/v1/users/ada'],
  ])('that no route has gives an error: %s %s', async (method, path) => {
    const answer = await send('auth-service', method, path);
    expect([400, 404, 405]).toContain(answer.status);
  });

  it('that expects no body ignores one', async () => {
    const raw = { headers: JSON_TYPE, body: '{"status":"revoked"}' };
    const answer = await service.client.send('auth-service', 'GET', '/v1/credentials', raw);
    expect([200, 400]).toContain(answer.status);
  });
});

describe('headers', () => {
  it('of 20 KiB are refused, and the next request is served', async () => {
    const headers = { 'x-padding': 'x'.repeat(20 * 1_024) };
    const answer = await service.client.send('auth-service', 'GET', '/v1/credentials', { headers });
    expect(answer).toMatchObject({ status: 413, body: { type: 'urn:passkey-manager:problem:request-too-large' } });
    expect(await service.client.call('auth-service', 'GET', '/v1/credentials')).toMatchObject({ status: 200 });
  });

  it('are refused when there are more than 64, and the answer says so', async () => {
    const headers = Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`x-${String(at)}`, '']));
    const answer = await service.client.send('auth-service', 'GET', '/v1/credentials', { headers });
    const body = {
      type: 'urn:passkey-manager:problem:request-too-large',
      detail: expect.stringContaining('more than 64'),
    };
    expect(answer).toMatchObject({ status: 413, body });
  });

  it.each([
    ['a method override', { 'x-http-method-override': 'DELETE' }],
    ['another forwarded host', { 'x-forwarded-host': 'evil.example' }],
    ['a forwarded address', { 'x-forwarded-for': '10.0.0.1' }],
    ['a request id', { 'x-request-id': 'a\tb"}' }],
  ])('change nothing: %s', async (_, headers) => {
    const answer = await service.client.send('auth-service', 'GET', '/v1/credentials', { headers });
    expect(answer.status).toBe(200);
  });
});
