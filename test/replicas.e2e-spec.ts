import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeAuthenticationRejected, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import type { DevelopmentIdentity } from './support/service.js';
import { ServiceProcess } from './support/service-process.js';

const SPENT = makeProblem(409, 'challenge-spent');

let dataDir: string;
let database: TestDatabase;
let replicas: ServiceProcess[];
let a: Ceremonies<DevelopmentIdentity>;
let b: Ceremonies<DevelopmentIdentity>;

/** Makes 20 calls at once, ten at each replica. */
function spread<Result>(
  call: (replica: Ceremonies<DevelopmentIdentity>, index: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(Array.from({ length: 20 }, (_, index) => call(index % 2 === 0 ? a : b, index)));
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  database = await createTestDatabase();
  // The replicas start one after the other, because the first makes the keys that both use.
  replicas = [await ServiceProcess.start(dataDir, database.url)];
  replicas.push(await ServiceProcess.start(dataDir, database.url));
  [a, b] = replicas.map(({ ceremonies }) => ceremonies) as [typeof a, typeof b];
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

describe('two replicas on one database', () => {
  it('register with a challenge that the other issued, once', async () => {
    const { challengeId, publicKey } = requireStatus(await a.requestRegistration('ada'), 201);
    const response = new Authenticator().create(publicKey, a.origin);
    requireStatus(await b.answerRegistration(challengeId, response), 201);
    expect(await b.answerRegistration(challengeId, response)).toMatchObject(SPENT);
    expect(await a.answerRegistration(challengeId, response)).toMatchObject(SPENT);
  });

  it('authenticate with a passkey that the other registered, once for each challenge', async () => {
    const authenticator = new Authenticator();
    const { id } = await a.registered('grace', authenticator);
    const { challengeId, publicKey } = requireStatus(await a.requestAuthentication({ userId: 'grace' }), 201);
    const response = authenticator.get(publicKey, a.origin);
    expect(await b.answerAuthentication(challengeId, response)).toMatchObject({
      status: 200,
      body: { userId: 'grace', credential: { id } },
    });
    expect(await a.answerAuthentication(challengeId, response)).toMatchObject(SPENT);
  });

  it('accept one of 20 registrations for one challenge', async () => {
    const { challengeId, publicKey } = requireStatus(await a.requestRegistration('joan'), 201);
    const answers = await spread((replica) =>
      replica.answerRegistration(challengeId, new Authenticator().create(publicKey, replica.origin)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(19).fill(409)]);
  });

  it('accept one of 20 authentications with the same answer', async () => {
    const authenticator = new Authenticator();
    await b.registered('hedy', authenticator);
    const { challengeId, publicKey } = requireStatus(await a.requestAuthentication(), 201);
    const response = authenticator.get(publicKey, a.origin);
    const answers = await spread((replica) => replica.answerAuthentication(challengeId, response));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(409)]);
  });

  it('share one signature counter, so that each of 20 authentications is accepted or refused as a regression', async () => {
    const authenticator = new Authenticator({ counts: true });
    const { id } = await a.registered('radia', authenticator);
    const prepared: [challengeId: string, response: unknown][] = [];
    for (let count = 0; count < 20; count += 1) {
      const { challengeId, publicKey } = requireStatus(await a.requestAuthentication(), 201);
      prepared.push([challengeId, authenticator.get(publicKey, a.origin)]);
    }
    const answers = await spread((replica, index) => replica.answerAuthentication(...prepared[index]!));
    const counters = answers.filter(({ status }) => status === 200).map(({ body }) => body.credential.signCount);
    expect(new Set(counters).size).toBe(counters.length);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer).toMatchObject(makeAuthenticationRejected('sign-count-regressed'));
    }
    const { body } = await replicas[1]!.client.call('auth-service', 'GET', `/v1/credentials/${id}`);
    expect(body).toMatchObject({ signCount: Math.max(...counters) });
  });

  it('refuse a credential that the other revoked', async () => {
    const authenticator = new Authenticator();
    const { id } = await a.registered('mary', authenticator);
    await b.authenticated(authenticator);
    const challenge = requireStatus(await b.requestAuthentication(), 201);
    await replicas[0]!.client.call('auth-service', 'POST', `/v1/credentials/${id}/revoke`, { reason: 'lost' });
    const response = authenticator.get(challenge.publicKey, b.origin);
    expect(await b.answerAuthentication(challenge.challengeId, response)).toMatchObject(
      makeAuthenticationRejected('credential-revoked'),
    );
  });

  it('limit the challenges of one user each for itself, because issuing one writes nothing', async () => {
    const limit = 20;
    const policy = { userLimits: { challengesPerMinute: limit } };
    const body = { name: 'Development', origins: [a.origin], policy };
    requireStatus(await replicas[0]!.client.call('operator', 'PUT', '/v1/relying-parties/localhost', body), 200);
    for (const replica of [a, b]) {
      for (let count = 0; count < limit; count += 1) {
        requireStatus(await replica.requestRegistration('barbara'), 201);
        requireStatus(await replica.requestAuthentication({ userId: 'barbara' }), 201);
      }
      const limited = makeProblem(429, 'rate-limited', { reason: 'too-many-challenges' });
      expect(await replica.requestAuthentication({ userId: 'barbara' })).toMatchObject(limited);
      expect(await replica.requestRegistration('barbara')).toMatchObject(limited);
      requireStatus(await replica.requestAuthentication({ userId: 'shafi' }), 201);
    }
  });

  it('share the count of refusals of one user', async () => {
    const policy = { userLimits: { refusalsPerHalfHour: 4 } };
    const body = { name: 'Development', origins: [a.origin], policy };
    requireStatus(await replicas[0]!.client.call('operator', 'PUT', '/v1/relying-parties/localhost', body), 200);
    const authenticator = new Authenticator();
    await a.registered('karen', authenticator);
    for (const replica of [a, b, a, b]) {
      const refused = await replica.authenticate(authenticator, { interference: { flags: { UV: false } } });
      expect(refused).toMatchObject(makeAuthenticationRejected('user-verification-missing'));
    }
    for (const replica of [a, b]) {
      const resting = makeProblem(429, 'rate-limited', { reason: 'too-many-refusals' });
      expect(await replica.requestAuthentication({ userId: 'karen' })).toMatchObject(resting);
    }
  });

  it('give exactly one outcome to fifty answers of one challenge, right and wrong, half of them at each', async () => {
    const authenticator = new Authenticator();
    await a.registered('dorothy', authenticator);
    const { challengeId, publicKey } = requireStatus(await b.requestAuthentication(), 201);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const wrong = index % 3 === 0 ? { flags: { UV: false } } : {};
        const replica = index % 2 === 0 ? a : b;
        return replica.answerAuthentication(challengeId, authenticator.get(publicKey, a.origin, wrong));
      }),
    );
    expect(answers.filter(({ status }) => status === 200 || status === 422)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49);
  });

  it('refuse no registration by a policy that the other has replaced', async () => {
    const demand = async (policy: Record<string, unknown>): Promise<void> => {
      const body = { name: 'Development', origins: [a.origin], policy };
      requireStatus(await replicas[0]!.client.call('operator', 'PUT', '/v1/relying-parties/localhost', body), 200);
    };
    const unverified = { interference: { flags: { UV: false } } };
    for (let round = 0; round < 3; round += 1) {
      await demand({});
      expect((await b.register('evelyn', new Authenticator(), unverified)).status).toBe(422);
      await demand({ userVerification: 'preferred', identityProof: { required: false } });
      const options = { ...unverified, challenge: { identityProof: undefined } };
      requireStatus(await b.register('evelyn', new Authenticator(), options), 201);
    }
    await demand({});
  });

  it('follow a new policy that the other received', async () => {
    const aaguid = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
    const demand = async (policy: Record<string, unknown>): Promise<void> => {
      const body = { name: 'Development', origins: [a.origin], policy };
      requireStatus(await replicas[0]!.client.call('operator', 'PUT', '/v1/relying-parties/localhost', body), 200);
    };
    const authenticator = new Authenticator({ aaguid });
    await a.registered('frances', authenticator);
    await b.authenticated(authenticator);
    await demand({ authenticators: { deny: [aaguid] } });
    expect(await b.authenticate(authenticator)).toMatchObject(makeAuthenticationRejected('authenticator-denied'));
    await demand({});
    await b.authenticated(authenticator);
  });
});
