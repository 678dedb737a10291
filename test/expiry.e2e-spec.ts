import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const TTL_SECONDS = 60;
const SPENT = makeProblem(409, 'challenge-spent');

let service: TestService;
let brief: Ceremonies<string>;
const authenticator = new Authenticator();

beforeAll(async () => {
  service = await TestService.start();
  brief = await service.relyingParty('brief.example.com', { challengeTtlSeconds: TTL_SECONDS });
  await brief.registered('ada', authenticator);
  service.clock.freeze();
});
afterAll(() => service.stop());
afterEach(() => {
  service.clock.reset();
  service.clock.freeze();
});

describe('a challenge lives as long as the policy says', () => {
  it.each<[number, object, object]>([
    [TTL_SECONDS - 1, { status: 201 }, { status: 200 }],
    [TTL_SECONDS, SPENT, SPENT],
    [TTL_SECONDS + 1, SPENT, SPENT],
  ])('when it is answered after %d seconds', async (seconds, registered, authenticated) => {
    const registration = requireStatus(await brief.requestRegistration('ada'), 201);
    const authentication = requireStatus(await brief.requestAuthentication(), 201);
    const assertion = authenticator.get(authentication.publicKey, brief.origin);
    const creation = new Authenticator().create(registration.publicKey, brief.origin);
    expect(Date.parse(registration.expiresAt) - service.clock.now().getTime()).toBe(TTL_SECONDS * 1_000);

    service.clock.advance(seconds);
    expect(await brief.answerRegistration(registration.challengeId, creation)).toMatchObject(registered);
    expect(await brief.answerAuthentication(authentication.challengeId, assertion)).toMatchObject(authenticated);
  });

  it('and the browser gets the same time', async () => {
    const { publicKey } = requireStatus(await brief.requestAuthentication(), 201);
    expect(publicKey.timeout).toBe(TTL_SECONDS * 1_000);
  });
});

describe('challenges that are never answered', () => {
  it('leave nothing behind in the database', async () => {
    const before = await service.digestTables();
    for (let count = 0; count < 3; count += 1) await brief.requestAuthentication();
    await brief.requestRegistration('ada');
    expect(await service.digestTables()).toEqual(before);
  });
});
