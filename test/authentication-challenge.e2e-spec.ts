import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

let service: TestService;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let user: string;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

/** Every test has a user with one passkey. */
beforeEach(async () => {
  authenticator = new Authenticator();
  user = newUser();
  credential = await login.registered(user, authenticator);
});

describe('POST /v1/challenges/authentication', () => {
  it('answers with the options for navigator.credentials.get()', async () => {
    expect(await login.requestAuthentication({ userId: user, hints: ['security-key'] })).toMatchObject({
      status: 201,
      body: {
        publicKey: {
          rpId: 'login.example.com',
          timeout: 300_000,
          userVerification: 'required',
          hints: ['security-key'],
          allowCredentials: [{ type: 'public-key', id: credential.credentialId, transports: ['hybrid', 'internal'] }],
        },
      },
    });
  });

  it('lets the authenticator choose when no user is named', async () => {
    expect(await login.requestAuthentication()).toMatchObject({ body: { publicKey: { allowCredentials: [] } } });
  });

  it('refuses a relying party that the service does not have', async () => {
    const answer = await service.ceremonies('nowhere.example.com').requestAuthentication();
    expect(answer).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });

  describe('reveals to nobody which users exist', () => {
    const allowed = async (ceremonies: Ceremonies<string>, userId: string) =>
      requireStatus(await ceremonies.requestAuthentication({ userId }), 201).publicKey.allowCredentials ?? [];

    it('because it offers an unknown user one decoy, the same each time', async () => {
      const decoy = await allowed(login, 'nobody');
      expect(decoy).toHaveLength(1);
      expect(await allowed(login, 'nobody')).toEqual(decoy);
    });

    it('because it offers different decoys for different users and relying parties', async () => {
      const other = await service.relyingParty('shop.example.org');
      const decoys = [await allowed(login, 'nobody'), await allowed(login, 'no one'), await allowed(other, 'nobody')];
      expect(new Set(decoys.map(([decoy]) => decoy?.id)).size).toBe(3);
    });

    it('because decoys have the shapes that the lists of users have: count, lengths and transports', async () => {
      const bank = await service.relyingParty('bank.example.net');
      const shapeOf = (list: Awaited<ReturnType<typeof allowed>>) =>
        JSON.stringify(list.map(({ type, id, transports }) => [type, Buffer.from(id, 'base64url').length, transports]));
      const fob = { transports: ['usb', 'nfc', 'ble'] };
      for (const userId of ['a', 'b', 'c', 'd']) {
        await bank.registered(userId, new Authenticator(), { interference: { credentialId: randomBytes(20) } });
        if (userId < 'c') {
          await bank.registered(userId, new Authenticator(fob), { interference: { credentialId: randomBytes(64) } });
        }
      }
      const real = await Promise.all(['a', 'c'].map((userId) => allowed(bank, userId).then(shapeOf)));
      const shown = await Promise.all(
        Array.from({ length: 40 }, (_, n) => allowed(bank, `none-${String(n)}`).then(shapeOf)),
      );
      expect(new Set(shown)).toEqual(new Set(real));
    });

    it('because it offers a decoy to a user whose passkeys are all revoked', async () => {
      const path = `/v1/credentials/${credential.id}/revoke`;
      await service.client.call('auth-service', 'POST', path, { reason: 'test' });
      const decoys = await allowed(login, user);
      expect(decoys).toHaveLength(1);
      expect(decoys[0]?.id).not.toBe(credential.credentialId);
    });

    it('because it refuses every assertion for a user without a passkey in the same way', async () => {
      const { challengeId, publicKey } = requireStatus(await login.requestAuthentication({ userId: 'nobody' }), 201);
      const forged = {
        ...authenticator.newest,
        id: Buffer.from(publicKey.allowCredentials?.[0]?.id ?? '', 'base64url'),
      };
      const response = authenticator.get(publicKey, login.origin, { passkey: forged });
      expect(await login.answerAuthentication(challengeId, response)).toMatchObject({ status: 422 });
    });
  });
});
