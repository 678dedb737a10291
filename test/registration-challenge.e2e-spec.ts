import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makePolicyRejected, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const CHALLENGE_ID = /^[A-Za-z0-9_-]{100,4096}$/;

let service: TestService;
let login: Ceremonies<string>;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

describe('POST /v1/challenges/registration', () => {
  it('answers with the options for navigator.credentials.create()', async () => {
    service.clock.freeze();
    const answer = await login.requestRegistration('ada', { hints: ['client-device'] });
    expect(answer).toMatchObject({
      status: 201,
      body: {
        challengeId: expect.stringMatching(CHALLENGE_ID),
        publicKey: {
          rp: { id: 'login.example.com', name: 'login.example.com' },
          user: { name: 'ada@example.com', displayName: 'ada' },
          pubKeyCredParams: [-48, -8, -7, -257].map((alg) => ({ type: 'public-key', alg })),
          timeout: 300_000,
          excludeCredentials: [],
          authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
          hints: ['client-device'],
          attestation: 'none',
        },
      },
    });
    const { expiresAt, publicKey } = answer.body;
    expect(Date.parse(expiresAt)).toBe(service.clock.now().getTime() + 300_000);
    service.clock.reset();
    expect(Buffer.from(publicKey.challenge, 'base64url').length).toBeGreaterThanOrEqual(16);
  });

  it('accepts an empty displayName from a caller that has none (WebAuthn L3 §5.4.3)', async () => {
    const user = { id: 'ada', name: 'ada@example.com', displayName: '' };
    expect(requireStatus(await login.requestRegistration('ada', { user }), 201).publicKey.user).toMatchObject({
      name: 'ada@example.com',
      displayName: '',
    });
  });

  it('never issues the same challenge twice', async () => {
    const challenges = await Promise.all(Array.from({ length: 20 }, () => login.requestRegistration('ada')));
    expect(new Set(challenges.map(({ body }) => body.publicKey.challenge)).size).toBe(20);
    expect(new Set(challenges.map(({ body }) => body.challengeId)).size).toBe(20);
  });

  describe('issues a user handle (WebAuthn L3 §14.6.1) that', () => {
    const handleOf = async (ceremonies: Ceremonies<string>, userId: string): Promise<string> =>
      requireStatus(await ceremonies.requestRegistration(userId), 201).publicKey.user.id;

    it('is 32 bytes and stable for the user of a relying party', async () => {
      const user = newUser();
      const handle = await handleOf(login, user);
      expect(Buffer.from(handle, 'base64url')).toHaveLength(32);
      expect(await handleOf(login, user)).toBe(handle);
    });

    it('is stable when the first two requests come at the same time', async () => {
      const user = newUser();
      const handles = await Promise.all(Array.from({ length: 10 }, () => handleOf(login, user)));
      expect(new Set(handles).size).toBe(1);
    });

    it('differs for another user and at another relying party', async () => {
      const other = await service.relyingParty('shop.example.org');
      const handles = await Promise.all([handleOf(login, 'ada'), handleOf(login, 'eve'), handleOf(other, 'ada')]);
      expect(new Set(handles).size).toBe(3);
    });
  });

  it("excludes the user's passkeys that are not revoked", async () => {
    const user = newUser();
    const authenticator = new Authenticator();
    const credentials = [];
    for (let count = 0; count < 3; count += 1) credentials.push(await login.registered(user, authenticator));
    const [active, suspended, revoked] = credentials;
    const act = (id: string | undefined, verb: string) =>
      service.client.call('auth-service', 'POST', `/v1/credentials/${String(id)}/${verb}`, { reason: 'test' });
    await act(suspended?.id, 'suspend');
    await act(revoked?.id, 'revoke');
    const { publicKey } = requireStatus(await login.requestRegistration(user), 201);
    expect(publicKey.excludeCredentials?.map(({ id }) => id).sort()).toEqual(
      [active?.credentialId, suspended?.credentialId].sort(),
    );
  });

  describe('enforces the identity proof (PCI DSS 8.3.3), which', () => {
    const provedSecondsAgo = (seconds: number): Record<string, unknown> => ({
      identityProof: {
        method: 'password+otp',
        verifiedAt: new Date(service.clock.now().getTime() - seconds * 1_000).toISOString(),
      },
    });

    it('is demanded', async () => {
      const answer = await login.requestRegistration('ada', { identityProof: undefined });
      expect(answer).toMatchObject(makePolicyRejected('identity-proof-missing'));
    });

    it.each([
      ['it has just been made', 0, { status: 201 }],
      ['it is young enough', 890, { status: 201 }],
      ['it is too old', 910, makePolicyRejected('identity-proof-too-old')],
    ])('is checked for its age: %s', async (_, seconds, expected) => {
      expect(await login.requestRegistration('ada', provedSecondsAgo(seconds))).toMatchObject(expected);
    });

    it('is refused when it lies in the future', async () => {
      const { status } = await login.requestRegistration('ada', provedSecondsAgo(-3_600));
      expect([400, 422]).toContain(status);
    });

    it('is not demanded when the policy does not demand it', async () => {
      const lax = await service.relyingParty('lax.example.com', { identityProof: { required: false } });
      expect(await lax.requestRegistration('ada', { identityProof: undefined })).toMatchObject({ status: 201 });
    });
  });

  it('refuses a user who has as many passkeys as the policy allows', async () => {
    const few = await service.relyingParty('few.example.com', { maxCredentialsPerUser: 1 });
    const credential = await few.registered('ada', new Authenticator());
    const refused = await few.requestRegistration('ada');
    expect(refused).toMatchObject(makePolicyRejected('too-many-credentials'));
    expect(refused.body).toMatchObject({ advice: expect.stringContaining('maxCredentialsPerUser') });
    const revoke = `/v1/credentials/${credential.id}/revoke`;
    await service.client.call('auth-service', 'POST', revoke, { reason: 'makes room' });
    expect(await few.requestRegistration('ada')).toMatchObject({ status: 201 });
  });

  it('refuses a relying party that the service does not have', async () => {
    const answer = await service.ceremonies('nowhere.example.com').requestRegistration('ada');
    expect(answer).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });

  describe('for a passkey that confirms payments (SPC §5)', () => {
    it('asks for what a browser demands, whatever the policy says', async () => {
      const policy = { userVerification: 'discouraged', residentKey: 'discouraged' } as const;
      const lax = await service.relyingParty('payments.example.com', policy);
      const algorithms = [-7, -257].map((alg) => ({ type: 'public-key', alg }));
      expect(requireStatus(await lax.requestRegistration('ada', { payment: true }), 201).publicKey).toMatchObject({
        authenticatorSelection: {
          authenticatorAttachment: 'platform',
          residentKey: 'preferred',
          userVerification: 'required',
        },
        extensions: { credProps: true, payment: { isPayment: true, browserBoundPubKeyCredParams: algorithms } },
      });
      const { publicKey } = requireStatus(await lax.requestRegistration('ada', { payment: false }), 201);
      expect(publicKey.extensions).toEqual({ credProps: true });
      expect(publicKey.authenticatorSelection).toEqual({ ...policy, requireResidentKey: false });
    });

    it.each([
      ['/authenticatorAttachment', { authenticatorAttachment: 'cross-platform' }],
      ['/mediation', { mediation: 'conditional' }],
    ])('refuses %s beside it that makes a browser throw', async (pointer, members) => {
      const refused = await login.requestRegistration('ada', { payment: true, ...members });
      expect(refused).toMatchObject(makeProblem(400, 'request-malformed'));
      expect(refused.body).toMatchObject({ invalid: [{ pointer }] });
    });
  });

  it('follows the policy of the relying party', async () => {
    const strict = await service.relyingParty('strict.example.com', {
      algorithms: [-7],
      userVerification: 'preferred',
      residentKey: 'discouraged',
      attestation: { conveyance: 'direct' },
      challengeTtlSeconds: 60,
    });
    const { publicKey } = requireStatus(
      await strict.requestRegistration('ada', { authenticatorAttachment: 'cross-platform' }),
      201,
    );
    expect(publicKey).toMatchObject({
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
      authenticatorSelection: {
        userVerification: 'preferred',
        residentKey: 'discouraged',
        authenticatorAttachment: 'cross-platform',
      },
      attestation: 'direct',
      timeout: 60_000,
    });
  });
});
