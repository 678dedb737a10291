import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, type Page, problem } from './support/bodies.js';
import type { Ceremonies } from './support/ceremonies.js';
import { spiffeId, TestService } from './support/service.js';

const DENIED = problem(403, 'permission-denied');
const RP_DENIED = problem(403, 'relying-party-denied');
const SETTINGS = { name: 'Example', origins: ['https://x.example'] };
const NOWHERE = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';

describe('the development policy', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await TestService.start();
    await service.relyingParty('login.example.com');
  });
  afterAll(() => service.stop());

  const may = true;
  const no = false;

  /** Every route, and who of `auth-service`, `operator`, `auditor`, `stranger` may use it. */
  const MATRIX: [string, string, unknown, boolean, boolean, boolean, boolean][] = [
    ['POST', '/v1/challenges/registration', {}, may, no, no, no],
    ['POST', '/v1/credentials', {}, may, no, no, no],
    ['POST', '/v1/challenges/authentication', {}, may, no, no, no],
    ['POST', '/v1/credentials/verify', {}, may, no, no, no],
    ['GET', '/v1/credentials', undefined, may, may, no, no],
    ['GET', `/v1/credentials/${NOWHERE}`, undefined, may, may, no, no],
    ['PATCH', `/v1/credentials/${NOWHERE}`, {}, may, no, no, no],
    ['POST', `/v1/credentials/${NOWHERE}/suspend`, {}, may, no, no, no],
    ['POST', `/v1/credentials/${NOWHERE}/reinstate`, {}, may, no, no, no],
    ['POST', `/v1/credentials/${NOWHERE}/revoke`, {}, may, no, no, no],
    ['GET', '/v1/users/ada/signals?rpId=login.example.com', undefined, may, may, no, no],
    ['DELETE', '/v1/users/ada?rpId=login.example.com', undefined, no, may, no, no],
    ['GET', '/v1/relying-parties', undefined, no, may, no, no],
    ['GET', '/v1/relying-parties/login.example.com', undefined, no, may, no, no],
    ['PUT', '/v1/relying-parties/login.example.com', {}, no, may, no, no],
    ['GET', '/v1/relying-parties/login.example.com/related-origins', undefined, no, may, no, no],
    ['GET', '/v1/audit/events', undefined, no, no, may, no],
    ['GET', `/v1/audit/events/${NOWHERE}`, undefined, no, no, may, no],
    ['GET', '/openapi.json', undefined, may, may, may, no],
  ];

  it.each(MATRIX)('%s %s', async (method, path, body, ...permitted) => {
    for (const [at, identity] of ['auth-service', 'operator', 'auditor', 'stranger'].entries()) {
      const answer = await service.client.call(identity, method, path, body);
      if (permitted[at]) expect([identity, answer.status]).not.toEqual([identity, 403]);
      else expect({ identity, ...answer }).toMatchObject({ identity, ...DENIED });
    }
  });

  it('has a row for every route of the contract', () => {
    const rows = MATRIX.map(([method, path]) => `${method} ${path.split('?', 1)[0] ?? ''}`);
    for (const { method, pattern, path } of service.contract.operations) {
      const matches = rows.filter((row) => row.startsWith(`${method} `) && pattern.test(row.slice(method.length + 1)));
      expect([method, path, matches.length > 0]).toEqual([method, path, true]);
    }
  });

  it('tells a caller without the permission nothing about the request', async () => {
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

describe('an access policy of its own', () => {
  let service: TestService;
  let mine: Ceremonies<string>;
  let theirs: Ceremonies<string>;
  let own: Credential;
  let foreign: Credential;

  const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${spiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:read, passkeys:manage]
  - id: ${spiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:read, passkeys:erase]
  - id: ${spiffeId('mine-only')}
    permissions:
      [passkeys:register, passkeys:authenticate, passkeys:read, passkeys:manage, passkeys:erase,
       relying-parties:read, relying-parties:write, audit:read]
    relyingParties: [mine.example.com]
  - id: ${spiffeId('ended')}
    permissions: [passkeys:read]
    notAfter: 2026-01-01T00:00:00Z
  - id: ${spiffeId('ending')}
    permissions: [passkeys:read]
    notAfter: 2099-01-01T00:00:00Z
  - id: ${spiffeId('slow')}
    permissions: [passkeys:read]
    requestsPerSecond: 2
  - id: ${spiffeId('denied')}
    permissions: [passkeys:read]
deny:
  - { id: ${spiffeId('denied')} }
`;

  beforeAll(async () => {
    service = await TestService.start({
      accessPolicy: POLICY,
      identities: ['mine-only', 'ended', 'ending', 'slow', 'denied'],
    });
    await service.relyingParty('mine.example.com');
    await service.relyingParty('theirs.example.com');
    mine = service.ceremonies('mine.example.com', 'mine-only');
    theirs = service.ceremonies('theirs.example.com', 'mine-only');
    own = await service.ceremonies('mine.example.com').registered('ada', new Authenticator());
    foreign = await service.ceremonies('theirs.example.com').registered('ada', new Authenticator());
  });
  afterAll(() => service.stop());

  const list = (identity: string, query = '') =>
    service.client.call<Page<Credential>>(identity, 'GET', `/v1/credentials${query}`);

  describe('an identity that is limited to a relying party', () => {
    it('works for that one', async () => {
      const authenticator = new Authenticator();
      expect(await mine.register('grace', authenticator)).toMatchObject({ status: 201 });
      expect(await mine.authenticate(authenticator)).toMatchObject({ status: 200 });
    });

    it.each<[string, string, string, unknown]>([
      ['reads a relying party', 'GET', '/v1/relying-parties/theirs.example.com', undefined],
      ['reads related origins', 'GET', '/v1/relying-parties/theirs.example.com/related-origins', undefined],
      ['changes a relying party', 'PUT', '/v1/relying-parties/theirs.example.com', SETTINGS],
      ['creates a relying party', 'PUT', '/v1/relying-parties/new.example.com', SETTINGS],
      ['lists credentials', 'GET', '/v1/credentials?rpId=theirs.example.com', undefined],
      ['reads signals', 'GET', '/v1/users/ada/signals?rpId=theirs.example.com', undefined],
      ['erases', 'DELETE', '/v1/users/ada?rpId=theirs.example.com', undefined],
      ['asks for a challenge', 'POST', '/v1/challenges/authentication', { rpId: 'theirs.example.com' }],
      ['asks about one that does not exist', 'GET', '/v1/relying-parties/nowhere.example.com', undefined],
    ])('for another: %s', async (_, method, path, body) => {
      expect(await service.client.call('mine-only', method, path, body)).toMatchObject(RP_DENIED);
    });

    it('registers nothing for another', async () => {
      expect(await theirs.requestRegistration('ada')).toMatchObject(RP_DENIED);
    });

    it.each(['GET', 'PATCH', 'suspend', 'reinstate', 'revoke'])('%s on a credential of another', async (verb) => {
      const path = `/v1/credentials/${foreign.id}`;
      const answer =
        verb === 'GET'
          ? await service.client.call('mine-only', 'GET', path)
          : verb === 'PATCH'
            ? await service.client.call('mine-only', 'PATCH', path, { name: 'Mine now' })
            : await service.client.call('mine-only', 'POST', `${path}/${verb}`, { reason: 'because' });
      expect([403, 404]).toContain(answer.status);
      expect(await service.credential(foreign.id)).toEqual(foreign);
    });

    it('sees its own in lists, and nothing else', async () => {
      const { body } = await list('mine-only');
      expect(new Set(body.data.map(({ rpId }) => rpId))).toEqual(new Set(['mine.example.com']));
      expect(body.data.map(({ id }) => id)).toContain(own.id);
      const { body: parties } = await service.client.call<{ data: { rpId: string }[] }>(
        'mine-only',
        'GET',
        '/v1/relying-parties',
      );
      expect(parties.data.map(({ rpId }) => rpId)).toEqual(['mine.example.com']);
    });

    it('reads its own in the audit log, and nothing else', async () => {
      const { body } = await service.client.call<Page<{ unmapped?: { rp_id?: string } }>>(
        'mine-only',
        'GET',
        '/v1/audit/events?limit=200',
      );
      expect(body.data.length).toBeGreaterThan(0);
      for (const event of body.data) expect(event.unmapped?.rp_id).toBe('mine.example.com');
    });
  });

  it('closes a grant at its end, on a live connection too', async () => {
    expect(await list('ended')).toMatchObject(DENIED);
    expect(await list('ending')).toMatchObject({ status: 200 });
  });

  it('closes the door to whom it denies', async () => {
    expect(await list('denied')).toMatchObject(DENIED);
  });

  it('limits the rate, and says when to come back', async () => {
    service.clock.freeze();
    const answers = await Promise.all(Array.from({ length: 5 }, () => list('slow')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429]);
    const limited = answers.find(({ status }) => status === 429);
    expect(limited).toMatchObject(problem(429, 'rate-limited'));
    expect(Number(limited?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    service.clock.advance(1);
    expect(await list('slow')).toMatchObject({ status: 200 });
    service.clock.reset();
  });
});
