import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeAuthenticationRejected, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const LIMITS = { challengesPerMinute: 12, refusalsPerHalfHour: 10 };
const MINUTE = 60;
const HALF_HOUR = 30 * MINUTE;

let service: TestService;
let bank: Ceremonies<string>;
let shop: Ceremonies<string>;
let log: AuditLog;
let user: string;
let other: string;
let authenticator: Authenticator;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
  bank = await service.relyingParty('bank.example.com', { userLimits: LIMITS });
  shop = await service.relyingParty('shop.example.org', { userLimits: LIMITS });
});
afterAll(() => service.stop());

/** Every test has a user with one passkey, and another without. */
beforeEach(async () => {
  [user, other, authenticator] = [newUser(), newUser(), new Authenticator()];
  await bank.registered(user, authenticator);
  service.clock.freeze();
  service.clock.advance(MINUTE);
});
afterEach(() => {
  service.clock.reset();
});

const limited = (reason: string, seconds: number): object => ({
  ...makeProblem(429, 'rate-limited', { reason }),
  headers: { 'retry-after': String(seconds) },
});
const tooMany = (seconds: number): object => limited('too-many-challenges', seconds);
const resting = (seconds: number): object => limited('too-many-refusals', seconds);
const begin = (userId = user, rp = bank) => rp.requestAuthentication({ userId });

async function times(count: number, act: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += 1) await act();
}

/** Sends an answer that does not verify. With `named`, the challenge names the user. */
async function refused(named = true): Promise<void> {
  const answer = await bank.authenticate(authenticator, {
    challenge: named ? { userId: user } : {},
    interference: { signature: (bytes) => Buffer.from(bytes.toReversed()) },
  });
  expect(answer).toMatchObject(makeAuthenticationRejected('signature-invalid'));
}

const limits = (): ReturnType<AuditLog['events']> => log.events({ type: 'challenge.limit', userId: user });

describe('challenges of one user', () => {
  it('are refused beyond the limit, with the seconds until the oldest is a minute old', async () => {
    await times(2, async () => requireStatus(await begin(), 201));
    service.clock.advance(10);
    await times(LIMITS.challengesPerMinute - 2, async () => requireStatus(await begin(), 201));
    expect(await begin()).toMatchObject(tooMany(50));
    service.clock.advance(50);
    await times(2, async () => requireStatus(await begin(), 201));
    expect(await begin()).toMatchObject(tooMany(10));
  });

  it('are counted separately for the two ceremonies, so that a flood of sign-ins does not keep the user from registering', async () => {
    await times(LIMITS.challengesPerMinute, async () => requireStatus(await begin(), 201));
    expect(await begin()).toMatchObject(tooMany(MINUTE));
    await bank.registered(user, new Authenticator());
    await times(LIMITS.challengesPerMinute - 1, async () => requireStatus(await bank.requestRegistration(user), 201));
    expect(await bank.requestRegistration(user)).toMatchObject(tooMany(MINUTE));
    const recorded = (await limits()).map(({ unmapped }) => unmapped?.['ceremony']);
    expect(new Set(recorded)).toEqual(new Set(['authentication', 'registration']));
  });

  it('store nothing when they are over the limit', async () => {
    await times(LIMITS.challengesPerMinute, () => bank.requestRegistration(other));
    await times(LIMITS.challengesPerMinute, () => begin(other));
    const before = await service.digestTables();
    expect(await begin(other)).toMatchObject(tooMany(MINUTE));
    expect(await bank.requestRegistration(other)).toMatchObject(tooMany(MINUTE));
    expect(await service.digestTables()).toEqual(before);
  });

  it('do not count against another user or another relying party', async () => {
    await times(LIMITS.challengesPerMinute + 1, () => begin());
    requireStatus(await begin(other), 201);
    requireStatus(await bank.requestRegistration(other), 201);
    requireStatus(await begin(user, shop), 201);
    requireStatus(await shop.requestRegistration(user), 201);
  });

  it('lock no user out, who can sign in by a discoverable credential and answer the challenges already issued', async () => {
    const { challengeId, publicKey } = requireStatus(await begin(), 201);
    await times(LIMITS.challengesPerMinute, () => begin());
    expect(await begin()).toMatchObject(tooMany(MINUTE));
    await bank.authenticated(authenticator);
    requireStatus(await bank.answerAuthentication(challengeId, authenticator.get(publicKey, bank.origin)), 200);
  });

  it('are not limited when they name no user', async () => {
    await times(3 * LIMITS.challengesPerMinute, async () => requireStatus(await bank.requestAuthentication(), 201));
  });
});

describe('refusals of one user (PCI DSS 8.3.4)', () => {
  /** Makes nine refusals, whose challenges stay below the limit of a minute. */
  beforeEach(async () => {
    await times(LIMITS.refusalsPerHalfHour - 1, () => refused());
    service.clock.advance(MINUTE);
  });

  it('block the user for half an hour after the tenth in a row', async () => {
    await refused();
    expect(await begin()).toMatchObject(resting(HALF_HOUR));
    service.clock.advance(HALF_HOUR - 1);
    expect(await begin()).toMatchObject(resting(1));
    service.clock.advance(1);
    requireStatus(await begin(), 201);
  });

  it('are forgotten after a success', async () => {
    await bank.authenticated(authenticator, { challenge: { userId: user } });
    service.clock.advance(1);
    await refused();
    requireStatus(await begin(), 201);
  });

  it('also count when the challenge named no user, and such a success unblocks the user', async () => {
    await refused(false);
    expect(await begin()).toMatchObject(resting(HALF_HOUR));
    service.clock.advance(1);
    await bank.authenticated(authenticator);
    requireStatus(await begin(), 201);
  });

  it('do not keep a user whose identity was proven again from registering a passkey', async () => {
    await refused();
    await bank.registered(user, new Authenticator());
    expect(await begin()).toMatchObject(resting(HALF_HOUR));
  });

  it('do not count against others', async () => {
    await refused();
    requireStatus(await begin(other), 201);
    requireStatus(await begin(user, shop), 201);
  });

  it('do not end an open challenge, which can still be answered', async () => {
    const { challengeId, publicKey } = requireStatus(await begin(), 201);
    await refused();
    expect(await begin()).toMatchObject(resting(HALF_HOUR));
    requireStatus(await bank.answerAuthentication(challengeId, authenticator.get(publicKey, bank.origin)), 200);
  });

  it('answer with the longer wait when both limits apply', async () => {
    await times(LIMITS.challengesPerMinute - 1, () => begin());
    await refused();
    expect(await begin()).toMatchObject(resting(HALF_HOUR));
  });
});

describe('the audit log', () => {
  it('says that a user is over a limit, and which one', async () => {
    await times(LIMITS.challengesPerMinute, () => begin());
    const answer = await begin();
    expect(await limits()).toMatchObject([
      {
        class_uid: 3002,
        status: 'Failure',
        status_code: 'too-many-challenges',
        status_detail: '12 challenges were issued to the user within a minute',
        user: { uid: user },
        metadata: { correlation_uid: (answer.body as unknown as { instance: string }).instance },
        unmapped: { rp_id: bank.rpId, ceremony: 'authentication' },
      },
    ]);
  });

  it('gets one record a minute of a user in a flood', async () => {
    await times(LIMITS.challengesPerMinute, () => begin());
    await times(30, () => begin());
    expect(await limits()).toHaveLength(1);
    service.clock.advance(MINUTE - 1);
    await times(5, () => begin());
    expect(await limits()).toHaveLength(1);
    service.clock.advance(1);
    await times(LIMITS.challengesPerMinute + 5, () => begin());
    expect(await limits()).toHaveLength(2);
  });
});

describe('a new policy', () => {
  it('takes effect at once, also a stricter one', async () => {
    await times(3, async () => requireStatus(await begin(user, shop), 201));
    await service.relyingParty(shop.rpId, { userLimits: { challengesPerMinute: 2 } });
    expect(await begin(user, shop)).toMatchObject(tooMany(MINUTE));
    await service.relyingParty(shop.rpId, { userLimits: { challengesPerMinute: 4 } });
    requireStatus(await begin(user, shop), 201);
    expect(await begin(user, shop)).toMatchObject(tooMany(MINUTE));
    await service.relyingParty(shop.rpId, { userLimits: LIMITS });
  });
});
