import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PERMISSIONS } from '../src/access/permissions.js';
import { type Credential, type Page, makeProblem } from './support/bodies.js';
import { toSpiffeId, TestService } from './support/service.js';

const DENIED = makeProblem(403, 'permission-denied');
const NOWHERE = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';

const may = true;
const no = false;

/** Every route, and which of `auth-service`, `operator`, `auditor` and `stranger` may use it. */
const MATRIX: [string, string, unknown, boolean, boolean, boolean, boolean][] = [
  ['POST', '/v1/challenges/registration', {}, may, no, no, no],
  ['POST', '/v1/credentials', {}, may, no, no, no],
  ['POST', '/v1/challenges/authentication', {}, may, no, no, no],
  ['POST', '/v1/credentials/verify', {}, may, no, no, no],
  ['POST', '/v1/challenges/confirmation', {}, may, no, no, no],
  ['POST', '/v1/confirmations', {}, may, no, no, no],
  ['POST', '/v1/challenges/payment', {}, may, no, no, no],
  ['POST', '/v1/payments', {}, may, no, no, no],
  ['GET', '/v1/credentials', undefined, may, may, no, no],
  ['GET', '/v1/credentials/export?rpId=login.example.com', undefined, no, may, no, no],
  ['POST', '/v1/credentials/import?rpId=login.example.com', {}, no, may, no, no],
  ['GET', `/v1/credentials/${NOWHERE}`, undefined, may, may, no, no],
  ['PATCH', `/v1/credentials/${NOWHERE}`, {}, may, no, no, no],
  ['POST', `/v1/credentials/${NOWHERE}/suspend`, {}, may, no, no, no],
  ['POST', `/v1/credentials/${NOWHERE}/reinstate`, {}, may, no, no, no],
  ['POST', `/v1/credentials/${NOWHERE}/revoke`, {}, may, no, no, no],
  ['GET', `/v1/credentials/${NOWHERE}/browser-keys`, undefined, may, may, no, no],
  ['POST', `/v1/credentials/${NOWHERE}/browser-keys/${'A'.repeat(43)}/trust`, {}, may, no, no, no],
  ['POST', `/v1/credentials/${NOWHERE}/browser-keys/${'A'.repeat(43)}/revoke`, {}, may, no, no, no],
  ['GET', '/v1/users/ada/signals?rpId=login.example.com', undefined, may, may, no, no],
  ['POST', '/v1/users/ada/revoke?rpId=login.example.com', {}, may, no, no, no],
  ['DELETE', '/v1/users/ada?rpId=login.example.com', undefined, no, may, no, no],
  ['GET', '/v1/relying-parties', undefined, no, may, no, no],
  ['GET', '/v1/relying-parties/login.example.com', undefined, no, may, no, no],
  ['PUT', '/v1/relying-parties/login.example.com', {}, no, may, no, no],
  ['GET', '/v1/relying-parties/login.example.com/related-origins', undefined, no, may, no, no],
  ['GET', '/v1/relying-parties/login.example.com/migration', undefined, no, may, no, no],
  ['GET', '/v1/statistics?rpId=login.example.com', undefined, no, may, may, no],
  ['GET', '/v1/approvals', undefined, no, no, no, no],
  ['GET', `/v1/approvals/${NOWHERE}`, undefined, may, may, may, no],
  ['POST', `/v1/approvals/${NOWHERE}/approve`, {}, no, no, no, no],
  ['POST', `/v1/approvals/${NOWHERE}/refuse`, {}, no, no, no, no],
  ['GET', '/v1/audit/events', undefined, no, no, may, no],
  ['GET', `/v1/audit/events/${NOWHERE}`, undefined, no, no, may, no],
  ['GET', `/v1/audit/events/${NOWHERE}/proof`, undefined, no, no, may, no],
  ['GET', '/v1/audit/checkpoint', undefined, no, no, may, no],
  ['GET', '/v1/audit/key', undefined, no, no, may, no],
  ['GET', '/v1/audit/consistency?from=0&to=1', undefined, no, no, may, no],
  ['GET', '/v1/audit/export', undefined, no, no, may, no],
  ['GET', '/v1/receipts/jwks', undefined, may, may, may, no],
  ['GET', '/.well-known/ssf-configuration', undefined, may, may, may, no],
  ['GET', '/v1/signals/jwks', undefined, may, may, may, no],
  ['POST', '/v1/signals/streams', { events_requested: 1 }, may, no, no, no],
  ['GET', '/v1/signals/streams', undefined, may, no, no, no],
  ['PATCH', '/v1/signals/streams', {}, may, no, no, no],
  ['PUT', '/v1/signals/streams', {}, may, no, no, no],
  ['DELETE', `/v1/signals/streams?stream_id=${NOWHERE}`, undefined, may, no, no, no],
  ['GET', `/v1/signals/status?stream_id=${NOWHERE}`, undefined, may, no, no, no],
  ['POST', '/v1/signals/status', {}, may, no, no, no],
  ['POST', '/v1/signals/subjects/add', {}, may, no, no, no],
  ['POST', '/v1/signals/subjects/remove', {}, may, no, no, no],
  ['POST', '/v1/signals/verification', {}, may, no, no, no],
  ['POST', `/v1/signals/poll/${NOWHERE}`, { returnImmediately: true }, may, no, no, no],
  ['GET', '/v1/caller', undefined, may, may, may, no],
  ['GET', '/openapi.json', undefined, may, may, may, no],
];

describe('the development policy', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await TestService.start();
    await service.relyingParty('login.example.com');
  });
  afterAll(() => service.stop());

  it.each(MATRIX)('decides who may call %s %s', async (method, path, body, ...permitted) => {
    for (const [at, identity] of ['auth-service', 'operator', 'auditor', 'stranger'].entries()) {
      const answer = await service.client.call(identity, method, path, body);
      if (permitted[at]) expect([identity, answer.status]).not.toEqual([identity, 403]);
      else expect({ identity, ...answer }).toMatchObject({ identity, ...DENIED });
    }
  });

  it('is tested on every route of the contract', () => {
    const rows = MATRIX.map(([method, path]) => `${method} ${path.split('?', 1)[0] ?? ''}`);
    for (const { method, pattern, path } of service.contract.operations) {
      const matches = rows.filter((row) => row.startsWith(`${method} `) && pattern.test(row.slice(method.length + 1)));
      expect([method, path, matches.length > 0]).toEqual([method, path, true]);
    }
  });

  it('reveals nothing about the request to a caller without the permission', async () => {
    for (const body of [{}, { rpId: 'nowhere.example.com' }, { unknown: true }]) {
      expect(await service.client.call('auditor', 'POST', '/v1/challenges/registration', body)).toMatchObject(DENIED);
    }
    const large = { method: 'POST', path: '/v1/credentials', body: 'x'.repeat(1_000) };
    const answer = await service.client.send('stranger', large.method, large.path, {
      headers: { 'content-type': 'text/plain' },
      body: large.body,
    });
    expect([403, 415]).toContain(answer.status);
  });
});

describe('a permission', () => {
  let service: TestService;
  const nameOf = (permission: string): string => permission.replace(':', '-');
  const services = PERMISSIONS.map(
    (permission) => `  - { id: '${toSpiffeId(nameOf(permission))}', permissions: ['${permission}'] }`,
  );

  beforeAll(async () => {
    service = await TestService.start({
      accessPolicy: ['version: 1', 'trustDomain: passkey-manager.local', 'services:', ...services].join('\n'),
      identities: PERMISSIONS.map(nameOf),
    });
  });
  afterAll(() => service.stop());

  it.each(PERMISSIONS)('%s opens the routes that demand it, and no others', async (permission) => {
    for (const [method, path, body] of MATRIX) {
      const target = path.split('?', 1)[0] ?? '';
      const operation = service.contract.operations.find((each) => each.method === method && each.pattern.test(target));
      const opens = [permission, 'any'].includes(String(operation?.document['x-permission']));
      const { status } = await service.client.call(nameOf(permission), method, path, body);
      expect([method, path, status !== 403]).toEqual([method, path, opens]);
    }
  });
});

describe('a custom access policy', () => {
  let service: TestService;

  const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('ended')}
    permissions: [passkeys:read]
    notAfter: 2026-01-01T00:00:00Z
  - id: ${toSpiffeId('ending')}
    permissions: [passkeys:read]
    notAfter: 2099-01-01T00:00:00Z
  - id: ${toSpiffeId('slow')}
    permissions: [passkeys:read]
    requestsPerSecond: 2
  - id: ${toSpiffeId('denied')}
    permissions: [passkeys:read]
deny:
  - { id: ${toSpiffeId('denied')} }
`;

  beforeAll(async () => {
    service = await TestService.start({
      accessPolicy: POLICY,
      identities: ['ended', 'ending', 'slow', 'denied'],
    });
  });
  afterAll(() => service.stop());

  const list = (identity: string, query = '') =>
    service.client.call<Page<Credential>>(identity, 'GET', `/v1/credentials${query}`);

  it('closes a grant at its end, also on a live connection', async () => {
    expect(await list('ended')).toMatchObject(DENIED);
    expect(await list('ending')).toMatchObject({ status: 200 });
  });

  it('refuses every request of a caller that it denies', async () => {
    expect(await list('denied')).toMatchObject(DENIED);
  });

  it('limits the rate and says when to come back', async () => {
    service.clock.freeze();
    const answers = await Promise.all(Array.from({ length: 5 }, () => list('slow')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429]);
    const limited = answers.find(({ status }) => status === 429);
    expect(limited).toMatchObject(makeProblem(429, 'rate-limited'));
    expect(Number(limited?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    service.clock.advance(1);
    expect(await list('slow')).toMatchObject({ status: 200 });
    service.clock.reset();
  });
});
