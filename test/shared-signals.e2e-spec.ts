import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeAuthenticationRejected, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { CHANGE, COMPROMISE, Receiver, type ReceivedSet, VERIFICATION } from './support/receiver.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const ISSUER = 'https://passkeys.bank.example';

let service: TestService;
let login: Ceremonies<string>;
let receiver: Receiver<string>;
let user: string;
let users = 0;
beforeAll(async () => {
  service = await TestService.start({ env: { PASSKEY_SIGNAL_ISSUER: ISSUER } });
  login = await service.relyingParty('login.example.com', { maxCredentialsPerUser: 64 });
});
afterAll(() => service.stop());
beforeEach(async () => {
  user = `user-${String((users += 1))}`;
  receiver = await Receiver.create(service.client, 'auth-service');
});
afterEach(async () => {
  service.clock.reset();
  await receiver.delete();
});

const act = (id: string, verb: string, reason = 'lost'): Promise<Answer<Credential>> =>
  service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${verb}`, { reason });
const erase = (): Promise<Answer<unknown>> =>
  service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${login.rpId}`);
const changesOf = (sets: readonly ReceivedSet[]): unknown[] => sets.map(({ event }) => event['change_type']);

describe('CAEP 1.0 §3.3: the credential-change of a passkey', () => {
  it('tells of registration, rename, suspension, reinstatement, revocation and erasure, in their order', async () => {
    const { id } = await login.registered(user, new Authenticator(), { answer: { name: 'My key' } });
    await service.client.call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name: 'Blue key' });
    await act(id, 'suspend', 'on holiday');
    await act(id, 'reinstate', 'is back');
    await act(id, 'revoke', 'lost on a train');
    await erase();
    const sets = await receiver.drain();
    expect(changesOf(sets)).toEqual(['create', 'update', 'update', 'update', 'revoke', 'delete']);
    expect(sets.map(({ type }) => type)).toEqual(Array(6).fill(CHANGE));
    expect(sets.map(({ user: subject }) => subject)).toEqual(Array(6).fill(user));
    expect(sets.map(({ event }) => event['friendly_name'])).toEqual(['My key', ...Array<string>(5).fill('Blue key')]);
    const reasons = sets.map(({ event }) => (event['reason_admin'] as { en: string }).en);
    expect(reasons).toEqual([
      'the user registered it',
      'renamed',
      'suspended: on holiday',
      'reinstated: is back',
      'revoked: lost on a train',
      'erased with the user',
    ]);
  });

  it('has the time of the change in seconds, the model, the type of the passkey and the initiator', async () => {
    service.clock.freeze();
    await login.registered(user, new Authenticator());
    const [set] = await receiver.drain();
    expect(set!.event).toMatchObject({
      change_type: 'create',
      event_timestamp: Math.floor(service.clock.now().getTime() / 1_000),
      fido2_aaguid: '00000000-0000-0000-0000-000000000000',
      initiating_entity: 'user',
    });
    expect(set!.event['credential_type']).toMatch(/^fido2-(platform|roaming)$/);
  });

  it('is one delete for each passkey of an erased user, revoked ones included', async () => {
    const { id } = await login.registered(user, new Authenticator());
    await login.registered(user, new Authenticator());
    await act(id, 'revoke');
    await receiver.drain();
    await erase();
    expect(changesOf(await receiver.drain())).toEqual(['delete', 'delete']);
  });

  it('is one revoke for each passkey when all of a user are revoked', async () => {
    await login.registered(user, new Authenticator());
    await login.registered(user, new Authenticator());
    await receiver.drain();
    await service.client.call('auth-service', 'POST', `/v1/users/${user}/revoke?rpId=${login.rpId}`, {
      reason: 'theft',
    });
    const sets = await receiver.drain();
    expect(changesOf(sets)).toEqual(['revoke', 'revoke']);
    expect(new Set(sets.map(({ claims }) => claims['txn'])).size).toBe(1);
  });

  it('is none for a sign-in, a refused sign-in and a refused change', async () => {
    const authenticator = new Authenticator();
    const { id } = await login.registered(user, authenticator);
    await receiver.drain();
    await login.authenticated(authenticator);
    await login.authenticate(authenticator, { origin: 'https://evil.example' });
    await act(id, 'reinstate');
    expect(await receiver.drain()).toEqual([]);
  });
});

describe('SSF 1.0 §4.1: a security event token', () => {
  it('verifies with the published keys, and has the claims of the profile', async () => {
    await login.registered(user, new Authenticator());
    const { sets } = requireStatus(await receiver.poll(), 200);
    const [[jti, token]] = Object.entries(sets) as [[string, string]];
    const jwks = requireStatus(
      await service.client.call<JSONWebKeySet>('auth-service', 'GET', '/v1/signals/jwks'),
      200,
    );
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks), {
      issuer: ISSUER,
      audience: 'spiffe://passkey-manager.local/auth-service',
      typ: 'secevent+jwt',
      algorithms: ['RS256'],
      currentDate: service.clock.now(),
    });
    expect(protectedHeader).toMatchObject({ typ: 'secevent+jwt', alg: 'RS256', kid: expect.any(String) });
    expect(payload).toMatchObject({ jti, sub_id: { format: 'iss_sub', iss: `https://${login.rpId}`, sub: user } });
    expect(payload).not.toHaveProperty('sub');
    expect(payload).not.toHaveProperty('exp');
    expect(Object.keys(payload['events'] as object)).toHaveLength(1);
  });

  it('has the id of the request as txn (§4.1.9)', async () => {
    const { id } = await login.registered(user, new Authenticator());
    await receiver.drain();
    const [event] = await new AuditLog(service.client).collectDuring(() => act(id, 'revoke'));
    expect((await receiver.drain())[0]!.claims['txn']).toBe(event!.metadata.correlation_uid);
  });
});

describe('RISC 1.0 §2.7: the credential-compromise of a passkey that may have been cloned', () => {
  it.each(['reject', 'flag'])(
    'is sent once when the signature counter does not grow (%s)',
    async (signCountRegression) => {
      const rules = await service.relyingParty(`${signCountRegression}.example.com`, { signCountRegression });
      const authenticator = new Authenticator();
      await rules.registered(user, authenticator);
      await rules.authenticated(authenticator, { interference: { signCount: 10 } });
      await receiver.drain();
      const answer = await rules.authenticate(authenticator, { interference: { signCount: 3 } });
      const refused = signCountRegression === 'reject';
      expect(answer).toMatchObject(refused ? makeAuthenticationRejected('sign-count-regressed') : { status: 200 });
      const sets = await receiver.drain();
      expect(sets).toMatchObject([{ type: COMPROMISE, user, event: { initiating_entity: 'system' } }]);
      expect((sets[0]!.event['reason_admin'] as { en: string }).en).toContain('cloned');
    },
  );
});

describe('RFC 8936 §2.4: a poll', () => {
  beforeEach(async () => {
    for (let index = 0; index < 3; index += 1) await login.registered(user, new Authenticator());
  });

  it('returns a SET with the same claims until it is acknowledged', async () => {
    const first = await receiver.peek();
    expect(first).toHaveLength(3);
    expect(await receiver.peek()).toEqual(first);
    expect(await receiver.peek({ ack: [first[0]!.claims.jti] })).toEqual(first.slice(1));
  });

  it('returns at most maxEvents, the oldest first, and says if there are more', async () => {
    const all = await receiver.peek();
    const { body } = await receiver.poll({ maxEvents: 2, returnImmediately: true });
    expect(body).toMatchObject({ moreAvailable: true });
    expect(Object.keys(body.sets)).toEqual(all.slice(0, 2).map(({ claims }) => claims.jti));
    expect((await receiver.poll({ maxEvents: 3, returnImmediately: true })).body).toMatchObject({
      moreAvailable: false,
    });
  });

  it('only acknowledges with maxEvents 0, at once if the receiver asks for that', async () => {
    const [first, ...others] = (await receiver.peek()).map(({ claims }) => claims.jti);
    const acknowledge = async (...ack: string[]) =>
      (await receiver.poll({ maxEvents: 0, returnImmediately: true, ack })).body;
    expect(await acknowledge(first!)).toEqual({ sets: {}, moreAvailable: true });
    expect(await receiver.peek()).toHaveLength(2);
    expect(await acknowledge(...others)).toEqual({ sets: {}, moreAvailable: false });
  });

  it('waits with maxEvents 0 until there is a SET, and returns none (§2.4.2)', async () => {
    const ack = (await receiver.peek()).map(({ claims }) => claims.jti);
    let isAnswered = false;
    const waiting = receiver.poll({ maxEvents: 0, ack }).finally(() => {
      isAnswered = true;
    });
    await until(async () => (await service.sql('SELECT FROM signal')).length === 0);
    await sleep(500);
    expect(isAnswered).toBe(false);
    await login.registered(user, new Authenticator());
    expect(await waiting).toMatchObject({ status: 200, body: { sets: {}, moreAvailable: true } });
    expect(await receiver.peek()).toHaveLength(1);
  });

  it.each([{ maxEvents: -1 }, { maxEvents: '5' }, { returnImmediately: 'yes' }, { ack: 'jti' }, { setErrs: [] }])(
    'that is not valid gets 400, and acknowledges nothing: %j',
    async (members) => {
      const [first] = await receiver.peek();
      const poll = { ack: [first!.claims.jti], returnImmediately: true, ...members };
      expect(await receiver.poll(poll)).toMatchObject(makeProblem(400, 'request-malformed'));
      expect(await receiver.peek()).toHaveLength(3);
    },
  );

  it('takes setErrs as the end of a SET, and counts its error (§2.6)', async () => {
    const before = await service.readMetric('passkey_signal_errors_total');
    const [first, second] = await receiver.peek();
    const setErrs = {
      [first!.claims.jti]: { err: 'invalid_key', description: 'unknown kid' },
      [second!.claims.jti]: 'not an object',
      nobody: { err: 'invalid_request' },
    };
    expect(await receiver.peek({ setErrs })).toHaveLength(1);
    expect((await service.readMetric('passkey_signal_errors_total')) - before).toBe(2);
  });

  it('takes as many setErrs as a body holds', async () => {
    const [first] = await receiver.peek();
    const others = Array.from({ length: 1_200 }, (_, n) => `0199a1b2-0000-7000-8000-${String(n).padStart(12, '0')}`);
    const setErrs = Object.fromEntries([...others, first!.claims.jti].map((jti) => [jti, {}]));
    expect(await receiver.peek({ setErrs })).toHaveLength(2);
  });

  it('ignores acknowledgements of what it does not know, and members that it does not know', async () => {
    const ack = ['nonsense', '0199a1b2-0000-7000-8000-000000000001'];
    expect(await receiver.peek({ ack, futureMember: { of: 'RFC 8936' } })).toHaveLength(3);
  });

  it('waits for a SET, and returns as soon as there is one', async () => {
    await receiver.drain();
    const waiting = receiver.poll({});
    const { id } = await login.registered(user, new Authenticator());
    await act(id, 'suspend');
    const { sets } = requireStatus(await waiting, 200);
    expect(Object.keys(sets).length).toBeGreaterThan(0);
  });
});

describe('SSF 1.0 §8.1.2: the status of a stream', () => {
  const setStatus = (status: string): Promise<Answer<unknown>> =>
    receiver.manage('POST', 'status', { status, reason: 'maintenance' });

  it('holds what happens while it is paused, and keeps the order', async () => {
    const { id } = await login.registered(user, new Authenticator());
    expect(await setStatus('paused')).toMatchObject({ status: 200, body: { status: 'paused', reason: 'maintenance' } });
    await act(id, 'suspend');
    await act(id, 'revoke');
    expect(await receiver.peek()).toEqual([]);
    await setStatus('enabled');
    expect(changesOf(await receiver.drain())).toEqual(['create', 'update', 'revoke']);
  });

  it('holds nothing while it is disabled, and forgets what it held', async () => {
    const { id } = await login.registered(user, new Authenticator());
    await setStatus('disabled');
    await act(id, 'suspend');
    await setStatus('enabled');
    expect(await receiver.peek()).toEqual([]);
    await act(id, 'revoke');
    expect(changesOf(await receiver.drain())).toEqual(['revoke']);
  });
});

describe('SSF 1.0 §8.1.3: subjects', () => {
  it('are all users of the relying parties, but for those that are removed', async () => {
    const subject = { format: 'iss_sub', iss: `https://${login.rpId}`, sub: user };
    expect(await receiver.manage('POST', 'subjects/remove', { subject })).toMatchObject({ status: 204 });
    await login.registered(user, new Authenticator());
    await login.registered(`${user}-other`, new Authenticator());
    expect((await receiver.drain()).map((set) => set.user)).toEqual([`${user}-other`]);
    expect(await receiver.manage('POST', 'subjects/add', { subject, verified: true })).toMatchObject({ status: 200 });
    await login.registered(user, new Authenticator());
    expect((await receiver.drain()).map((set) => set.user)).toEqual([user]);
  });

  it('are forgotten with an erased user', async () => {
    const subject = { format: 'iss_sub', iss: `https://${login.rpId}`, sub: user };
    await login.registered(user, new Authenticator());
    await receiver.manage('POST', 'subjects/remove', { subject });
    await erase();
    expect(await service.sql('SELECT FROM signal_excluded_subject')).toEqual([]);
  });

  it.each([
    { format: 'email', email: 'a@example.com' },
    { format: 'iss_sub', iss: 'http://login.example.com', sub: 'u' },
    { format: 'iss_sub', iss: 'https://login.example.com', sub: '' },
    { format: 'iss_sub', iss: 'https://login.example.com', sub: '\u0000' },
    { format: 'opaque', id: 'u' },
    { format: 'complex', user: { format: 'iss_sub', iss: 'https://login.example.com', sub: 'u' } },
    {},
  ])('are refused if they are not users: %j', async (subject) => {
    expect(await receiver.manage('POST', 'subjects/remove', { subject })).toMatchObject(
      makeProblem(400, 'request-malformed'),
    );
  });
});

describe('SSF 1.0 §8.1.4: verification', () => {
  it('sends an event about the stream, with the state of the request', async () => {
    const state = 'VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRlIHZhbHVlLgo=';
    expect(await receiver.manage('POST', 'verification', { state })).toMatchObject({ status: 204 });
    expect(await receiver.drain()).toMatchObject([
      { type: VERIFICATION, event: { state }, claims: { sub_id: { format: 'opaque', id: receiver.id } } },
    ]);
  });

  it('is heard of by every stream: the stream cannot be removed from its subjects (§8.1.4.1)', async () => {
    const subject = { format: 'opaque', id: receiver.id };
    const refused = makeProblem(400, 'request-malformed');
    expect(await receiver.manage('POST', 'subjects/remove', { subject })).toMatchObject(refused);
    await receiver.manage('POST', 'verification');
    const [set] = await receiver.drain();
    expect(set).toMatchObject({ type: VERIFICATION, claims: { sub_id: subject } });
    expect(set!.event).not.toHaveProperty('state');
  });

  it('refuses a request before min_verification_interval is over', async () => {
    await receiver.manage('POST', 'verification');
    expect(await receiver.manage('POST', 'verification')).toMatchObject(makeProblem(429, 'rate-limited'));
    service.clock.advance(receiver.stream.min_verification_interval * 1_000);
    expect(await receiver.manage('POST', 'verification')).toMatchObject({ status: 204 });
  });
});
