import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeAuthenticationRejected, type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { toSpiffeId, TestService } from './support/service.js';

const SPENT = makeProblem(409, 'challenge-spent');
const SECOND_SERVICE = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:read, passkeys:manage]
  - id: ${toSpiffeId('kiosk')}
    permissions: [passkeys:register, passkeys:authenticate]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:read, passkeys:erase]
`;

let service: TestService;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let user: string;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: SECOND_SERVICE, identities: ['kiosk'] });
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

/** Every test has a user with one passkey. */
beforeEach(async () => {
  authenticator = new Authenticator();
  user = newUser();
  credential = await login.registered(user, authenticator);
});

const setStatus = (verb: 'suspend' | 'reinstate' | 'revoke'): Promise<unknown> =>
  service.client.call('auth-service', 'POST', `/v1/credentials/${credential.id}/${verb}`, { reason: 'test' });
describe('POST /v1/credentials/verify', () => {
  it.each([
    ['a named user', () => ({ userId: user })],
    ['the user that the passkey belongs to', () => ({})],
  ])('verifies %s', async (_, challenge) => {
    const verification = await login.authenticated(authenticator, { challenge: challenge() });
    expect(verification).toMatchObject({
      verified: true,
      rpId: 'login.example.com',
      userId: user,
      purpose: null,
      userVerified: true,
      risks: [],
      auditId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      credential: { id: credential.id, lastUsedAt: verification.verifiedAt },
    });
    expect(await service.readCredential(credential.id)).toEqual(verification.credential);
  });

  it('needs no user handle when the challenge named the user', async () => {
    const answer = await login.authenticate(authenticator, {
      challenge: { userId: user },
      interference: { userHandle: null },
    });
    expect(answer).toMatchObject({ status: 200 });
  });
  describe('redeems a challenge', () => {
    const begin = async (members: Record<string, unknown> = {}) =>
      requireStatus(await login.requestAuthentication(members), 201);

    it('once when the same assertion comes 50 times at the same time', async () => {
      const { challengeId, publicKey } = await begin();
      const response = authenticator.get(publicKey, login.origin);
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => login.answerAuthentication(challengeId, response)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      for (const answer of answers.filter(({ status }) => status !== 200)) expect(answer).toMatchObject(SPENT);
    });

    it('only until it expires', async () => {
      const { challengeId, publicKey } = await begin();
      const response = authenticator.get(publicKey, login.origin);
      service.clock.advance(301);
      expect(await login.answerAuthentication(challengeId, response)).toMatchObject(SPENT);
    });

    it('without mixing it up with another open one', async () => {
      const [first, second] = [await begin(), await begin()];
      const answer = await login.answerAuthentication(
        first.challengeId,
        authenticator.get(second.publicKey, login.origin),
      );
      expect(answer).toMatchObject(makeAuthenticationRejected('challenge-mismatch'));
    });

    it('only for an authentication, and refuses one of a registration', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestRegistration(user), 201);
      const options = { rpId: login.rpId, challenge: publicKey.challenge };
      const answer = await login.answerAuthentication(challengeId, authenticator.get(options, login.origin));
      expect(answer).toMatchObject(makeAuthenticationRejected('ceremony-mismatch'));
    });

    it('of user A only with a passkey of user A', async () => {
      const other = new Authenticator();
      await login.registered(newUser(), other);
      const { challengeId, publicKey } = await begin({ userId: user });
      const response = other.get({ ...publicKey, allowCredentials: [] }, login.origin);
      const answer = await login.answerAuthentication(challengeId, response);
      expect(answer).toMatchObject(makeAuthenticationRejected('credential-not-allowed'));
    });

    it('of one relying party only at that relying party', async () => {
      const other = await service.relyingParty('shop.example.org');
      const { challengeId, publicKey } = requireStatus(await other.requestAuthentication(), 201);
      const passkey = authenticator.newest;
      const response = authenticator.get(publicKey, login.origin, { passkey });
      const answer = await login.answerAuthentication(challengeId, response);
      expect(answer).toMatchObject({
        status: 422,
        body: { reason: expect.stringMatching(/origin-mismatch|credential-unknown/) },
      });
    });

    it('only for the service that it was issued to', async () => {
      const { challengeId, publicKey } = await begin();
      const response = authenticator.get(publicKey, login.origin);
      const kiosk = service.ceremonies(login.rpId, 'kiosk');
      expect(await kiosk.answerAuthentication(challengeId, response)).toMatchObject(SPENT);
    });

    it.each<[string, object, object, object]>([
      [
        'the same purpose',
        { purpose: 'payment:4711' },
        { purpose: 'payment:4711' },
        { status: 200, body: { purpose: 'payment:4711' } },
      ],
      [
        'another purpose',
        { purpose: 'payment:4711' },
        { purpose: 'payment:4712' },
        makeAuthenticationRejected('purpose-mismatch'),
      ],
      [
        'no purpose where the challenge has one',
        { purpose: 'payment:4711' },
        {},
        makeAuthenticationRejected('purpose-mismatch'),
      ],
      [
        'a purpose where the challenge has none',
        {},
        { purpose: 'sign-in' },
        makeAuthenticationRejected('purpose-mismatch'),
      ],
    ])('and compares the purposes: %s', async (_, challenge, answer, expected) => {
      const ceremony = { challenge: challenge as Record<string, unknown>, answer: answer as Record<string, unknown> };
      expect(await login.authenticate(authenticator, ceremony)).toMatchObject(expected);
    });
  });

  describe('the answer for a credential', () => {
    it('that is unknown lets the client forget it', async () => {
      const id = randomBytes(32);
      const passkey = { ...authenticator.newest, id };
      const answer = await login.authenticate(authenticator, { interference: { passkey } });
      expect(answer).toMatchObject(makeAuthenticationRejected('credential-unknown'));
      const signal = { unknownCredential: { rpId: login.rpId, credentialId: id.toString('base64url') } };
      expect(answer.body).toMatchObject({ signal });
    });

    it('that is suspended treats it as known, so that no client forgets it', async () => {
      await setStatus('suspend');
      const answer = await login.authenticate(authenticator);
      expect(answer).toMatchObject(makeAuthenticationRejected('credential-suspended'));
      expect(answer.body).not.toHaveProperty('signal');
    });

    it('that is suspended after the challenge was issued is a refusal', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestAuthentication({ userId: user }), 201);
      await setStatus('suspend');
      const answer = await login.answerAuthentication(challengeId, authenticator.get(publicKey, login.origin));
      expect(answer).toMatchObject(makeAuthenticationRejected('credential-suspended'));
    });

    it('that was reinstated is a success', async () => {
      await setStatus('suspend');
      await setStatus('reinstate');
      expect(await login.authenticate(authenticator)).toMatchObject({ status: 200 });
    });

    it('that was revoked is always a refusal', async () => {
      await setStatus('revoke');
      expect(await login.authenticate(authenticator)).toMatchObject(makeAuthenticationRejected('credential-revoked'));
    });

    it('of an authenticator that the policy has come to deny is a refusal', async () => {
      const aaguid = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
      const rp = await service.relyingParty('models.example.com');
      const model = new Authenticator({ aaguid });
      await rp.registered(user, model);
      await service.relyingParty('models.example.com', { authenticators: { deny: [aaguid] } });
      expect(await rp.authenticate(model)).toMatchObject(makeAuthenticationRejected('authenticator-denied'));
    });
  });
});
