import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedBy, packedSelf } from './support/authenticator/attestation.js';
import { createAttestationAuthority } from './support/authenticator/attestation-authority.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type AlgorithmName, COSE } from './support/authenticator/keys.js';
import { makeProblem, makeRegistrationRejected } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { toSpiffeId, TestService } from './support/service.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const SPENT = makeProblem(409, 'challenge-spent');

let service: TestService;
let login: Ceremonies<string>;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

describe('POST /v1/credentials', () => {
  it('answers with the credential and its location', async () => {
    const authenticator = new Authenticator({ aaguid: AAGUID });
    const answer = await login.register('grace', authenticator, { answer: { name: 'Laptop' } });
    expect(answer).toMatchObject({
      status: 201,
      headers: { location: `/v1/credentials/${answer.body.id}` },
      body: {
        id: expect.stringMatching(UUID_V7),
        credentialId: authenticator.passkeys[0]?.id.toString('base64url'),
        rpId: 'login.example.com',
        userId: 'grace',
        name: 'Laptop',
        status: 'active',
        aaguid: AAGUID,
        algorithm: -7,
        attachment: 'platform',
        transports: ['internal', 'hybrid'],
        discoverable: true,
        backupEligible: true,
        backedUp: true,
        userVerified: true,
        attestation: { format: 'none', trust: 'none' },
        signCount: 0,
        createdBy: toSpiffeId('auth-service'),
        lastUsedAt: null,
        statusReason: null,
      },
    });
    expect(await service.readCredential(answer.body.id)).toEqual(answer.body);
  });

  it('gives a name to a passkey that the caller did not name', async () => {
    const credential = await login.registered(newUser(), new Authenticator());
    expect(credential.name).not.toBe('');
  });

  describe('accepts the key types', () => {
    let open: Ceremonies<string>;
    beforeAll(async () => {
      open = await service.relyingParty('keys.example.com', { algorithms: Object.values(COSE) });
    });

    it.each(Object.keys(COSE) as AlgorithmName[])('%s, at registration and at authentication', async (algorithm) => {
      const authenticator = new Authenticator({ algorithm });
      const user = newUser();
      expect(await open.registered(user, authenticator)).toMatchObject({ algorithm: COSE[algorithm] });
      expect(await open.authenticated(authenticator)).toMatchObject({ verified: true, userId: user });
    });
  });

  describe('decides about an attestation and', () => {
    it('records self attestation', async () => {
      const authenticator = new Authenticator({ attestation: packedSelf, aaguid: AAGUID });
      const { body } = await login.register(newUser(), authenticator);
      expect(body).toMatchObject({ attestation: { format: 'packed', trust: 'self' } });
    });

    it('records one that chains to no known root as untrusted', async () => {
      const authority = await createAttestationAuthority();
      const attestation = packedBy(await authority.issue({ aaguid: AAGUID }));
      const { body } = await login.register(newUser(), new Authenticator({ attestation, aaguid: AAGUID }));
      expect(body).toMatchObject({ attestation: { format: 'packed', trust: 'untrusted' } });
    });

    it('refuses an untrusted one where the policy demands trust', async () => {
      const trusting = await service.relyingParty('trust.example.com', {
        attestation: { conveyance: 'direct', trust: 'trusted' },
      });
      const authority = await createAttestationAuthority();
      const attestation = packedBy(await authority.issue());
      for (const model of [{ attestation }, { attestation: packedSelf }, {}]) {
        const answer = await trusting.register(newUser(), new Authenticator(model));
        expect(answer).toMatchObject(makeRegistrationRejected('attestation-untrusted'));
      }
    });
  });

  it('accepts every origin that the relying party names', async () => {
    const origins = ['https://multi.example.com', 'https://example.co.uk', 'https://multi.example.com:8443'];
    const multi = await service.relyingParty('multi.example.com', {}, { origins });
    for (const origin of origins) {
      expect(await multi.register(newUser(), new Authenticator(), { origin })).toMatchObject({ status: 201 });
    }
  });

  describe('redeems a challenge', () => {
    it('for the first correct answer alone', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestRegistration(newUser()), 201);
      const response = new Authenticator().create(publicKey, login.origin);
      expect(await login.answerRegistration(challengeId, response)).toMatchObject({ status: 201 });
      expect(await login.answerRegistration(challengeId, response)).toMatchObject(SPENT);
    });

    it('only if it was issued', async () => {
      const { publicKey } = requireStatus(await login.requestRegistration(newUser()), 201);
      const response = new Authenticator().create(publicKey, login.origin);
      const never = '0195511e-7c5a-7d3e-9a41-2f6c0f1f9f10';
      expect(await login.answerRegistration(never, response)).toMatchObject(SPENT);
    });

    it('no longer when it has expired', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestRegistration(newUser()), 201);
      const response = new Authenticator().create(publicKey, login.origin);
      service.clock.advance(301);
      expect(await login.answerRegistration(challengeId, response)).toMatchObject(SPENT);
    });

    it('until the moment at which it expires', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestRegistration(newUser()), 201);
      const response = new Authenticator().create(publicKey, login.origin);
      service.clock.advance(290);
      expect(await login.answerRegistration(challengeId, response)).toMatchObject({ status: 201 });
    });

    it('only for a registration, and refuses one of an authentication', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestAuthentication(), 201);
      const { publicKey: creation } = requireStatus(await login.requestRegistration(newUser()), 201);
      const response = new Authenticator().create({ ...creation, challenge: publicKey.challenge }, login.origin);
      const answer = await login.answerRegistration(challengeId, response);
      expect(answer).toMatchObject(makeRegistrationRejected('ceremony-mismatch'));
    });

    it('once when it is answered 20 times at the same time', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestRegistration(newUser()), 201);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          login.answerRegistration(challengeId, new Authenticator().create(publicKey, login.origin)),
        ),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(19).fill(409)]);
    });
  });

  describe('treats a credential id that is already registered as', () => {
    it.each(['the same user', 'a second user'])('taken, and refuses it for %s', async (who) => {
      const first = newUser();
      const credentialId = Buffer.from(`known-${who}`);
      await login.registered(first, new Authenticator(), { interference: { credentialId } });
      const user = who === 'the same user' ? first : newUser();
      const answer = await login.register(user, new Authenticator(), { interference: { credentialId } });
      expect(answer).toMatchObject(makeProblem(409, 'credential-exists'));
    });

    it('free at another relying party', async () => {
      const other = await service.relyingParty('other.example.com');
      const credentialId = Buffer.from('at two relying parties');
      await login.registered(newUser(), new Authenticator(), { interference: { credentialId } });
      const answer = await other.register(newUser(), new Authenticator(), { interference: { credentialId } });
      expect(answer).toMatchObject({ status: 201 });
    });
  });
});
