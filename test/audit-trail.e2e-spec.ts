import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type AuditEvent, type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { toSpiffeId, TestService } from './support/service.js';

const SUCCESS = 1;
const FAILURE = 2;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let service: TestService;
let log: AuditLog;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let user: string;
let users = 0;

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());
beforeEach(async () => {
  user = `user-${String((users += 1))}`;
  authenticator = new Authenticator();
  credential = await login.registered(user, authenticator);
});

const manage = (path: string, body: unknown, method = 'POST'): Promise<unknown> =>
  service.client.call('auth-service', method, `/v1/credentials/${credential.id}${path}`, body);

/** The members that every OCSF event of a request has in common. */
const event = (code: string, status: number, members: Record<string, unknown> = {}): unknown =>
  expect.objectContaining({
    status_id: status,
    ...members,
    metadata: expect.objectContaining({
      event_code: code,
      uid: expect.stringMatching(UUID_V7),
      correlation_uid: expect.any(String),
    }),
    actor: expect.objectContaining({ app_uid: toSpiffeId('auth-service') }),
    src_endpoint: expect.objectContaining({ ip: expect.stringMatching(/127\.0\.0\.1$/) }),
  });

describe('PCI DSS 10.2.1: the audit log has a record', () => {
  it('of a registration, which says when its challenge was issued and how the caller had identified the user', async () => {
    const issuedAt = service.clock.now().getTime();
    const events = await log.collectDuring(() => login.registered(user, new Authenticator()));
    expect(events).toEqual([event('credential.register', SUCCESS, { class_uid: 3001, activity_id: 10 })]);
    expect(events[0]).toMatchObject({
      user: { uid: user },
      unmapped: {
        challenge_id: expect.stringMatching(UUID_V7),
        identity_proof: { method: 'password+otp', verifiedAt: expect.any(String), reference: 'session-8c1f' },
      },
    });
    const told = Date.parse(String(events[0]?.unmapped?.['challenge_issued_at']));
    expect(told).toBeGreaterThanOrEqual(issuedAt);
    expect(told).toBeLessThanOrEqual(service.clock.now().getTime());
  });

  it('of an authentication, which says when its challenge was issued, and the answer names that record', async () => {
    let auditId: string | undefined;
    const events = await log.collectDuring(async () => {
      ({ auditId } = await login.authenticated(authenticator, { challenge: { userId: user } }));
    });
    expect(events).toEqual([
      event('credential.verify', SUCCESS, { class_uid: 3002, activity_id: 1, is_mfa: true, auth_protocol_id: 99 }),
    ]);
    expect(events[0]).toMatchObject({
      metadata: { uid: auditId },
      user: { uid: user },
      unmapped: { challenge_id: expect.stringMatching(UUID_V7), challenge_issued_at: expect.any(String) },
    });
  });

  it('of a refused answer, which names its challenge', async () => {
    const events = await log.collectDuring(() =>
      login.authenticate(authenticator, { interference: { flags: { UP: false } } }),
    );
    expect(events).toMatchObject([
      { status_id: FAILURE, unmapped: { challenge_id: expect.stringMatching(UUID_V7), rp_id: login.rpId } },
    ]);
  });

  it('of no single challenge that is issued: a summary counts them', async () => {
    const events = await log.collectDuring(async () => {
      await login.requestRegistration(user);
      await login.requestAuthentication({ userId: user });
      await login.requestAuthentication();
    });
    expect(events).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>, string, number, number]>([
    ['rename', () => manage('', { name: 'Blue key' }, 'PATCH'), 'credential.rename', 3004, 3],
    ['suspend', () => manage('/suspend', { reason: 'lost' }), 'credential.suspend', 3004, 12],
    ['revoke', () => manage('/revoke', { reason: 'stolen' }), 'credential.revoke', 3001, 11],
  ])('of the change of a credential: %s', async (_, act, code, classUid, activity) => {
    const events = await log.collectDuring(act);
    expect(events).toEqual([event(code, SUCCESS, { class_uid: classUid, activity_id: activity })]);
    expect(JSON.stringify(events[0])).toContain(credential.id);
  });

  it('of a reinstatement', async () => {
    await manage('/suspend', { reason: 'lost' });
    const events = await log.collectDuring(() => manage('/reinstate', { reason: 'found' }));
    expect(events).toEqual([event('credential.reinstate', SUCCESS, { class_uid: 3004, activity_id: 13 })]);
    expect(JSON.stringify(events[0])).toContain('found');
  });

  it('of the creation and the change of a relying party, with the resulting settings', async () => {
    const put = (name: string): Promise<unknown> =>
      service.client.call('operator', 'PUT', '/v1/relying-parties/audited.example.com', {
        name,
        origins: ['https://audited.example.com'],
      });
    const events = await log.collectDuring(async () => {
      await put('First');
      await put('Second');
      await put('Second');
    });
    expect(events.map(({ metadata, class_uid, activity_id }) => [metadata.event_code, class_uid, activity_id])).toEqual(
      [
        ['relying-party.create', 3004, 1],
        ['relying-party.update', 3004, 3],
      ],
    );
    expect(events.map((entry) => entry.actor?.app_uid)).toEqual([toSpiffeId('operator'), toSpiffeId('operator')]);
    expect(JSON.stringify(events[1])).toContain('Second');
  });

  it('of the erasure of a user', async () => {
    const events = await log.collectDuring(() =>
      service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=login.example.com`),
    );
    expect(events).toMatchObject([
      { status_id: SUCCESS, metadata: { event_code: 'user.erase' }, actor: { app_uid: toSpiffeId('operator') } },
    ]);
  });

  it('of the start of the service', async () => {
    const [start] = await log.events({ type: 'service.start' });
    expect(start).toMatchObject({ status_id: SUCCESS, class_uid: 6002, activity_id: 3 });
  });

  it('of a read of the audit log (10.2.1.3), before the answer is sent', async () => {
    const [first] = requireStatus(await log.readPage({ limit: 1 }), 200).data;
    await service.client.call('auditor', 'GET', `/v1/audit/events/${first?.metadata.uid ?? ''}`);
    const [get, list] = requireStatus(await log.readPage({ type: 'audit.read', limit: 2 }), 200).data;
    for (const entry of [get, list]) {
      expect(entry).toMatchObject({
        status_id: SUCCESS,
        class_uid: 6003,
        activity_id: 2,
        actor: { app_uid: toSpiffeId('auditor') },
      });
    }
  });
});

describe('the audit log has a refusal before the answer is sent', () => {
  it('when an assertion is refused, with its reason and the request id of the answer', async () => {
    const { body } = await login.authenticate(authenticator, { interference: { flags: { UV: false } } });
    const [entry] = await log.events({ type: 'credential.verify', userId: user });
    expect(entry).toEqual(event('credential.verify', FAILURE, { status_code: 'user-verification-missing' }));
    expect(entry).toMatchObject({
      unmapped: { webauthn_step: '§7.2 step 17' },
      status_detail:
        'the authenticator did not verify the user by PIN or biometrics (the flag UV is 0), which the policy demands',
    });
    expect(entry?.metadata.correlation_uid).toBe((body as unknown as { instance: string }).instance);
  });

  it('when a registration is refused, with its reason', async () => {
    await login.register(user, authenticator, { interference: { clientData: { origin: 'https://evil.example' } } });
    const [entry] = await log.events({ type: 'credential.register', userId: user });
    expect(entry).toEqual(event('credential.register', FAILURE, { status_code: 'origin-mismatch' }));
    expect(entry).toMatchObject({ unmapped: { webauthn_step: '§7.1 step 9' } });
  });

  it('when a challenge is spent', async () => {
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication(), 201);
    const response = authenticator.get(publicKey, login.origin);
    await login.answerAuthentication(challengeId, response);
    const events = await log.collectDuring(() => login.answerAuthentication(challengeId, response));
    expect(events).toMatchObject([{ status_id: FAILURE, status_code: 'challenge-spent' }]);
  });

  it('when the policy forbids a challenge', async () => {
    const events = await log.collectDuring(() => login.requestRegistration(user, { identityProof: undefined }));
    expect(events).toMatchObject([{ status_id: FAILURE, status_code: 'identity-proof-missing' }]);
  });

  it('when a passkey is suspended', async () => {
    await manage('/suspend', { reason: 'lost' });
    await login.authenticate(authenticator);
    const [entry] = await log.events({ type: 'credential.verify', userId: user });
    expect(entry).toMatchObject({ status_id: FAILURE, status_code: 'credential-suspended' });
  });

  it.each([
    ['stranger', 'GET', '/v1/credentials', 'GET /v1/credentials'],
    ['auditor', 'POST', '/v1/credentials/verify', 'POST /v1/credentials/verify'],
    ['auth-service', 'GET', '/v1/audit/events', 'GET /v1/audit/events'],
  ])('when %s may not call %s %s', async (identity, method, path, operation) => {
    const answer = await service.client.call(identity, method, path, method === 'POST' ? {} : undefined);
    expect(answer).toMatchObject(makeProblem(403, 'permission-denied'));
    const [entry] = await log.events({ type: 'access.denied', actor: toSpiffeId(identity) });
    expect(entry).toMatchObject({
      status_id: FAILURE,
      status_code: 'permission-denied',
      class_uid: 6003,
      metadata: { correlation_uid: answer.body['instance'] },
      api: { operation },
    });
  });

  it('with its cause, which the answer does not have', async () => {
    const [entry] = await log.events({ outcome: 'failure', type: 'credential.verify' });
    expect(JSON.stringify(entry)).not.toMatch(/\bat .*\.[jt]s:\d+/);
  });
});

it('a failed transition leaves no record of a change', async () => {
  const events = await log.collectDuring(() => manage('/reinstate', { reason: 'never suspended' }));
  expect(events.filter(({ status_id }) => status_id === SUCCESS)).toEqual([]);
});

describe('GET /v1/audit/events', () => {
  const codes = (events: AuditEvent[]): (string | undefined)[] => events.map(({ metadata }) => metadata.event_code);

  beforeEach(async () => {
    await login.authenticated(authenticator);
    await login.authenticate(authenticator, { interference: { flags: { UP: false } } });
    await manage('/suspend', { reason: 'lost' });
  });

  it('filters by user', async () => {
    expect(codes(await log.events({ userId: user }))).toEqual(
      expect.arrayContaining(['credential.verify', 'credential.register', 'credential.suspend']),
    );
    for (const entry of await log.events({ userId: user })) expect(JSON.stringify(entry)).toContain(user);
  });

  it('filters by credential', async () => {
    const events = await log.events({ credentialId: credential.id });
    expect(codes(events)).toEqual([
      'credential.suspend',
      'credential.verify',
      'credential.verify',
      'credential.register',
    ]);
  });

  it.each([
    ['success', SUCCESS, 3],
    ['failure', FAILURE, 1],
  ])('filters by outcome %s', async (outcome, status, count) => {
    const events = await log.events({ credentialId: credential.id, outcome });
    expect(events).toHaveLength(count);
    for (const entry of events) expect(entry.status_id).toBe(status);
  });

  it('filters by type and actor', async () => {
    const events = await log.events({ type: 'credential.suspend', actor: toSpiffeId('auth-service') });
    expect(new Set(codes(events))).toEqual(new Set(['credential.suspend']));
    expect(await log.events({ type: 'credential.suspend', actor: toSpiffeId('auditor') })).toEqual([]);
  });

  it('filters by time', async () => {
    service.clock.advance(60);
    const from = service.clock.now();
    await manage('/reinstate', { reason: 'found' });
    service.clock.advance(60);
    const to = service.clock.now();
    await manage('/revoke', { reason: 'stolen' });
    const between = { from: from.toISOString(), to: to.toISOString() };
    expect(codes(await log.events(between))).toEqual(['credential.reinstate']);
    expect(codes(await log.events({ from: to.toISOString() }))).toEqual(['credential.revoke']);
  });

  it.each([1, 2, 3, 50])('pages by %d and returns each event once, the newest first', async (limit) => {
    const query = { userId: user, limit };
    const seen: AuditEvent[] = [];
    let page = requireStatus(await log.readPage(query), 200);
    seen.push(...page.data);
    while (page.nextCursor !== null && seen.length < 50) {
      page = requireStatus(await log.readPage({ ...query, cursor: page.nextCursor }), 200);
      seen.push(...page.data);
    }
    expect(seen).toHaveLength(4);
    expect(new Set(seen.map(({ metadata }) => metadata.uid)).size).toBe(seen.length);
    expect(seen.map(({ time }) => time)).toEqual(seen.map(({ time }) => time).sort((a, b) => b - a));
  });
});

describe('GET /v1/audit/events/{id}', () => {
  it('returns the same event as the list', async () => {
    const [entry] = await log.events({ userId: user });
    const path = `/v1/audit/events/${entry?.metadata.uid ?? ''}`;
    expect(await service.client.call('auditor', 'GET', path)).toMatchObject({ status: 200, body: entry });
  });

  it('answers 404 for an unknown event', async () => {
    const path = '/v1/audit/events/0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
    expect(await service.client.call('auditor', 'GET', path)).toMatchObject(makeProblem(404, 'event-unknown'));
  });
});
