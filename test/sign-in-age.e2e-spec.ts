import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type AuditEvent, makePolicyRejected, type Problem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const RP_ID = 'login.example.com';
const AGE = { maxAgeSeconds: 900 };
const PURPOSES = {
  'step-up': AGE,
  'manage-passkeys': AGE,
  look: { userVerification: 'discouraged' },
  synced: { backup: 'synced' },
};
const TOO_OLD = makePolicyRejected('sign-in-too-old');
const STEP_UP = { challenge: { purpose: 'step-up' }, answer: { purpose: 'step-up' } };

let service: TestService;
let log: AuditLog;
let login: Ceremonies<string>;
let phone: Authenticator;
let user: string;
let id: string;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
});
beforeEach(async () => {
  await setPolicy(PURPOSES);
  [user, phone] = [newUser(), new Authenticator()];
  ({ id } = await login.registered(user, phone));
});
afterEach(() => {
  service.clock.reset();
});
afterAll(() => service.stop());

async function setPolicy(purposes: object, policy: object = {}): Promise<void> {
  login = await service.relyingParty(RP_ID, { ...policy, purposes });
}

const ask = (userId = user) => login.requestAuthentication({ userId, purpose: 'step-up' });
const signIn = (authenticator = phone) => login.authenticated(authenticator);
const readTimes = async (): Promise<{ used: Date | null; signedIn: Date | null }> => {
  const [row] = await service.sql<{ used: Date | null; signedIn: Date | null }>(
    'SELECT last_used_at AS used, last_sign_in_at AS "signedIn" FROM credential WHERE id = $1',
    [id],
  );
  return row!;
};

describe('a challenge for a purpose with maxAgeSeconds', () => {
  it('is issued after a sign-in, until that is too old', async () => {
    service.clock.freeze();
    await signIn();
    service.clock.advance(900);
    expect(await ask()).toMatchObject({ status: 201 });
    service.clock.advance(1);
    expect(await ask()).toMatchObject(TOO_OLD);
    await signIn();
    expect(await ask()).toMatchObject({ status: 201 });
  });

  it('is refused alike to a user who never signed in, to one whose sign-in is too old, and to an unknown user', async () => {
    const [never, revoked] = [newUser(), newUser()];
    await login.registered(never, new Authenticator());
    const gone = new Authenticator();
    const { id: lost } = await login.registered(revoked, gone);
    await signIn(gone);
    await service.client.call('auth-service', 'POST', `/v1/credentials/${lost}/revoke`, { reason: 'lost' });
    await signIn();
    service.clock.advance(901);
    const bodies = [];
    for (const userId of [user, never, revoked, 'nobody']) {
      const answer = await ask(userId);
      expect(answer).toMatchObject(TOO_OLD);
      const { instance, ...body } = answer.body as unknown as Problem;
      expect(instance).toBeTruthy();
      bodies.push(body);
    }
    for (const body of bodies) expect(body).toEqual(bodies[0]);
  });

  it('records its refusal, for a user and for whoever is none', async () => {
    for (const userId of [user, 'nobody']) {
      const events = await log.collectDuring(() => ask(userId));
      expect(events.map(({ metadata, status_code }: AuditEvent) => [metadata.event_code, status_code])).toEqual([
        ['challenge.issue', 'sign-in-too-old'],
      ]);
      expect(events[0]?.unmapped).toMatchObject({ ceremony: 'authentication', purpose: 'step-up' });
    }
  });

  it('is refused after a sign-in of somebody else, or at another relying party', async () => {
    const grace = new Authenticator();
    await login.registered(newUser(), grace);
    await signIn(grace);
    const other = await service.relyingParty('shop.example.org', { purposes: PURPOSES });
    const there = new Authenticator();
    await other.registered(user, there);
    await other.authenticated(there);
    expect(await ask()).toMatchObject(TOO_OLD);
  });

  it('is issued after a sign-in with another passkey of the user, unless that is not active any more', async () => {
    const fob = new Authenticator();
    const { id: second } = await login.registered(user, fob);
    await signIn(fob);
    expect(
      (await login.authenticate(phone, { ...STEP_UP, challenge: { userId: user, purpose: 'step-up' } })).status,
    ).toBe(200);
    await service.client.call('auth-service', 'POST', `/v1/credentials/${id}/suspend`, { reason: 'test' });
    expect(await ask()).toMatchObject({ status: 201 });
    await service.client.call('auth-service', 'POST', `/v1/credentials/${second}/suspend`, { reason: 'test' });
    expect(await ask()).toMatchObject(TOO_OLD);
    await service.client.call('auth-service', 'POST', `/v1/credentials/${second}/reinstate`, { reason: 'test' });
    expect(await ask()).toMatchObject({ status: 201 });
  });
});

describe('an answer for a purpose with maxAgeSeconds', () => {
  const answerLater = async (between: () => unknown, members: object = { userId: user }) => {
    const asked = { ...members, purpose: 'step-up' };
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication(asked), 201);
    const response = phone.get(publicKey, login.origin);
    await between();
    return login.answerAuthentication(challengeId, response, { purpose: 'step-up' });
  };

  it('is refused when the sign-in has become too old meanwhile, and its event says so', async () => {
    service.clock.freeze();
    await signIn();
    service.clock.advance(880);
    const events = await log.collectDuring(async () => {
      expect(
        await answerLater(() => {
          service.clock.advance(21);
        }),
      ).toMatchObject(TOO_OLD);
    });
    const [event] = events;
    expect([event?.metadata.event_code, event?.status_code]).toEqual(['credential.verify', 'sign-in-too-old']);
    await signIn();
    expect((await answerLater(() => undefined)).status).toBe(200);
  });

  it('is held to it also if the challenge names no user', async () => {
    expect(await answerLater(() => undefined, {})).toMatchObject(TOO_OLD);
    await signIn();
    expect((await answerLater(() => undefined, {})).status).toBe(200);
  });

  it('is held to the policy as it is then', async () => {
    await setPolicy({ other: AGE });
    expect(await answerLater(() => setPolicy(PURPOSES))).toMatchObject(TOO_OLD);
    await signIn();
    service.clock.advance(60);
    expect(await answerLater(() => setPolicy({ 'step-up': { maxAgeSeconds: 30 } }))).toMatchObject(TOO_OLD);
    await setPolicy(PURPOSES);
    expect((await answerLater(() => setPolicy({}))).status).toBe(200);
  });
});

describe('the time of the last sign-in', () => {
  it('is that of an authentication for any purpose that meets what the policy alone demands', async () => {
    const bound = new Authenticator({ backupEligible: false, backedUp: false });
    const member = newUser();
    const named = await login.registered(member, bound);
    await setPolicy(PURPOSES, { backup: 'device-bound' });
    const answer = (authenticator: Authenticator, purpose: string, UV: boolean) =>
      login.authenticated(authenticator, {
        challenge: { purpose },
        answer: { purpose },
        interference: { flags: { UV } },
      });
    await answer(phone, 'synced', true);
    await answer(bound, 'look', false);
    for (const userId of [user, member]) expect(await ask(userId)).toMatchObject(TOO_OLD);
    await answer(bound, 'look', true);
    expect(named.userId).toBe(member);
    expect(await ask(member)).toMatchObject({ status: 201 });
  });

  it('does not change by a confirmation', async () => {
    service.clock.freeze();
    await signIn();
    const { signedIn } = await readTimes();
    service.clock.advance(800);
    const transaction = { amount: '1.00' };
    const request = { rpId: RP_ID, userId: user, transaction };
    const issued = requireStatus(
      await service.client.call<{ challengeId: string; publicKey: { challenge: string } }>(
        'auth-service',
        'POST',
        '/v1/challenges/confirmation',
        request,
      ),
      201,
    );
    const response = phone.get(issued.publicKey, login.origin);
    const body = { challengeId: issued.challengeId, response, transaction };
    requireStatus(await service.client.call('auth-service', 'POST', '/v1/confirmations', body), 200);
    const { used, signedIn: after } = await readTimes();
    expect([after, used!.getTime() - after!.getTime()]).toEqual([signedIn, 800_000]);
    service.clock.advance(101);
    expect(await ask()).toMatchObject(TOO_OLD);
  });

  it('is kept only where a purpose asks for it', async () => {
    await setPolicy({ look: {} });
    await signIn();
    expect(await readTimes()).toMatchObject({ signedIn: null });
    await setPolicy(PURPOSES);
    expect(await ask()).toMatchObject(TOO_OLD);
    await signIn();
    const { used, signedIn } = await readTimes();
    expect(signedIn).toEqual(used);
    await setPolicy({});
    service.clock.advance(10);
    await signIn();
    expect((await readTimes()).signedIn).toEqual(signedIn);
  });

  it('cannot be made younger by SQL', async () => {
    await service.sql('UPDATE credential SET last_used_at = now() WHERE id = $1', [id]);
    expect(await ask()).toMatchObject(TOO_OLD);
    await signIn();
    service.clock.advance(901);
    const tampered = await log.collectDuring(async () => {
      await service.sql('UPDATE credential SET last_sign_in_at = $2 WHERE id = $1', [id, service.clock.now()]);
      expect(await ask()).toMatchObject(TOO_OLD);
    });
    expect(tampered.map(({ metadata }) => metadata.event_code)).toContain('credential.tampered');
  });

  it('is stored by each of several sign-ins with one passkey at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => login.authenticate(phone)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await ask()).toMatchObject({ status: 201 });
  });
});

describe('a registration for a purpose with maxAgeSeconds', () => {
  const purpose = 'manage-passkeys';

  it('is refused without a recent sign-in, recorded, and makes no user', async () => {
    const stranger = newUser();
    for (const userId of [user, stranger]) {
      const events = await log.collectDuring(async () => {
        expect(await login.requestRegistration(userId, { purpose })).toMatchObject(TOO_OLD);
      });
      expect(events[0]).toMatchObject({
        status_code: 'sign-in-too-old',
        unmapped: { ceremony: 'registration', purpose },
      });
    }
    expect(await service.sql('SELECT FROM user_handle WHERE user_id = $1', [stranger])).toEqual([]);
    await signIn();
    await login.registered(user, new Authenticator(), { challenge: { purpose } });
  });

  it('holds its answer to it', async () => {
    await signIn();
    const fob = new Authenticator();
    const { challengeId, publicKey } = requireStatus(await login.requestRegistration(user, { purpose }), 201);
    service.clock.advance(250);
    const response = fob.create(publicKey, login.origin);
    await setPolicy({ [purpose]: { maxAgeSeconds: 200 } });
    expect(await login.answerRegistration(challengeId, response)).toMatchObject(TOO_OLD);
  });

  it('refuses nobody by a policy of the past', async () => {
    await setPolicy({ [purpose]: { maxAgeSeconds: 1 } });
    expect(await login.requestRegistration(user, { purpose })).toMatchObject(TOO_OLD);
    await setPolicy({});
    expect(await login.requestRegistration(user, { purpose })).toMatchObject({ status: 201 });
  });
});
