import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { generateKey } from './support/authenticator/keys.js';
import { makeAuthenticationRejected, type Credential } from './support/bodies.js';
import type { Ceremonies } from './support/ceremonies.js';
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

describe('the service checks what an authenticator reports about itself:', () => {
  describe('the signature counter (WebAuthn L3 §6.1.1)', () => {
    const COUNTS: [string, number, number[], number | 'reject'][] = [
      ['stays zero', 0, [0, 0], 0],
      ['begins to count', 0, [5], 5],
      ['goes up', 3, [4, 9], 9],
      ['reaches its end', 3, [0xffffffff], 0xffffffff],
      ['stands still', 3, [3], 'reject'],
      ['goes back', 7, [6], 'reject'],
      ['falls to zero', 7, [0], 'reject'],
    ];

    const run = async (rp: Ceremonies<string>, from: number, counts: number[]) => {
      const device = new Authenticator();
      const { id } = await rp.registered(newUser(), device, { interference: { signCount: from } });
      let answer;
      for (const signCount of counts) answer = await rp.authenticate(device, { interference: { signCount } });
      return { answer, stored: (await service.readCredential<Credential>(id)).signCount };
    };

    it.each(COUNTS)('is checked when it %s: from %d by %j', async (_, from, counts, expected) => {
      const { answer, stored } = await run(login, from, counts);
      if (expected === 'reject') expect(answer).toMatchObject(makeAuthenticationRejected('sign-count-regressed'));
      else expect(answer).toMatchObject({ status: 200, body: { risks: [] } });
      expect(stored).toBe(expected === 'reject' ? from : expected);
    });

    it.each(COUNTS.filter(([, , , expected]) => expected === 'reject'))(
      'is only flagged, when the policy says so, if it %s',
      async (_, from, counts) => {
        const rp = await service.relyingParty('flag.example.com', { signCountRegression: 'flag' });
        const { answer, stored } = await run(rp, from, counts);
        expect(answer).toMatchObject({ status: 200, body: { risks: ['sign-count-regressed'] } });
        expect(stored).toBe(from);
      },
    );

    it('does not turn a forged assertion into a clone, because the signature is checked first', async () => {
      const device = new Authenticator();
      await login.registered(newUser(), device, { interference: { signCount: 9 } });
      const passkey = { ...device.newest, key: generateKey('ES256') };
      const interference = { signCount: 1, passkey };
      expect(await login.authenticate(device, { interference })).toMatchObject(
        makeAuthenticationRejected('signature-invalid'),
      );
    });

    it('lets the highest of assertions that arrive at once pass, although each changes the seal', async () => {
      const device = new Authenticator();
      const { id } = await login.registered(newUser(), device);
      const counts = Array.from({ length: 8 }, (_, index) => index + 1);
      const answers = await Promise.all(
        counts.map((signCount) => login.authenticate(device, { interference: { signCount } })),
      );
      expect(answers.at(-1)?.status).toBe(200);
      for (const { status, body } of answers) {
        expect(status === 200 || (body as { reason?: string }).reason === 'sign-count-regressed').toBe(true);
      }
      expect((await service.readCredential<Credential>(id)).signCount).toBe(8);
    });

    it('lets one of two assertions with the same count pass', async () => {
      const device = new Authenticator();
      await login.registered(newUser(), device);
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => login.authenticate(device, { interference: { signCount: 1 } })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(422)]);
    });
  });

  describe('the backup state (WebAuthn L3 §6.1.3)', () => {
    it('is kept current', async () => {
      await login.authenticated(authenticator, { interference: { flags: { BS: false } } });
      expect(await service.readCredential(credential.id)).toMatchObject({ backedUp: false });
      await login.authenticated(authenticator, { interference: { flags: { BS: true } } });
      expect(await service.readCredential(credential.id)).toMatchObject({ backedUp: true });
    });

    const becomesEligible = { interference: { flags: { BE: true, BS: true } } };

    it('and eligibility that appears are accepted, stored and reported when the policy says so', async () => {
      const rp = await service.relyingParty('growth.example.com', { backupEligibilityChange: 'accept-growth' });
      const bound = new Authenticator({ backupEligible: false, backedUp: false });
      const { id } = await rp.registered(newUser(), bound);
      const { risks, credential: grown } = await rp.authenticated(bound, becomesEligible);
      expect({ risks, grown }).toMatchObject({
        risks: ['backup-eligibility-changed'],
        grown: { backupEligible: true },
      });
      expect(await service.readCredential(id)).toMatchObject({ backupEligible: true, backedUp: true });
      expect(await rp.authenticated(bound, becomesEligible)).toMatchObject({ risks: [] });
      const answer = await rp.authenticate(bound, { interference: { flags: { BE: false, BS: false } } });
      expect(answer).toMatchObject(makeAuthenticationRejected('backup-eligibility-changed'));
    });

    it('with eligibility that appears is refused when the policy demands device-bound passkeys', async () => {
      const policy = { backupEligibilityChange: 'accept-growth' };
      const rp = await service.relyingParty('bound.example.com', policy);
      const bound = new Authenticator({ backupEligible: false, backedUp: false });
      const { id } = await rp.registered(newUser(), bound);
      await service.relyingParty('bound.example.com', { ...policy, backup: 'device-bound' });
      const answer = await rp.authenticate(bound, becomesEligible);
      expect(answer).toMatchObject(makeAuthenticationRejected('backup-state-denied'));
      expect(await service.readCredential(id)).toMatchObject({ backupEligible: false });
    });

    it('with eligibility that appears is accepted when the policy demands passkeys that can be backed up', async () => {
      const policy = { backupEligibilityChange: 'accept-growth' };
      const rp = await service.relyingParty('synced.example.com', policy);
      const bound = new Authenticator({ backupEligible: false, backedUp: false });
      await rp.registered(newUser(), bound);
      await service.relyingParty('synced.example.com', { ...policy, backup: 'synced' });
      expect(await rp.authenticate(bound)).toMatchObject(makeAuthenticationRejected('backup-state-denied'));
      expect(await rp.authenticated(bound, becomesEligible)).toMatchObject({ risks: ['backup-eligibility-changed'] });
    });

    it('with eligibility that appears is refused with the setting that would allow it', async () => {
      const bound = new Authenticator({ backupEligible: false, backedUp: false });
      await login.registered(newUser(), bound);
      const { body } = await login.authenticate(bound, becomesEligible);
      expect(body).toMatchObject({ detail: expect.stringContaining('backupEligibilityChange: accept-growth') });
    });

    it('cannot lose eligibility', async () => {
      const bound = new Authenticator({ backupEligible: false, backedUp: false });
      await login.registered(newUser(), bound);
      const answer = await login.authenticate(bound, { interference: { flags: { BE: true } } });
      expect(answer).toMatchObject(makeAuthenticationRejected('backup-eligibility-changed'));
    });
  });

  it('the answer says when the user was not verified and the policy accepts that', async () => {
    const rp = await service.relyingParty('preferred.example.com', { userVerification: 'preferred' });
    await rp.registered(user, authenticator);
    const answer = await rp.authenticate(authenticator, { interference: { flags: { UV: false } } });
    expect(answer).toMatchObject({ status: 200, body: { userVerified: false } });
  });
});
