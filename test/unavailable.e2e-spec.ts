import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Authenticator } from './support/authenticator/authenticator.js';
import { type AuthenticationChallenge, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { EveryRoute, UNRECORDED } from './support/every-route.js';
import { TestService } from './support/service.js';
import { Severable } from './support/severable.js';
import { until } from './support/until.js';

const UNAVAILABLE = makeProblem(503, 'unavailable');
/** SQLSTATE deadlock_detected. */
const DEADLOCK = '40P01';

let service: TestService;
let wire: Severable;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let requests: EveryRoute['requests'];

beforeAll(async () => {
  service = await TestService.start({
    ...EveryRoute.access,
    databaseUrl: async (url) => {
      wire = await Severable.openBefore(url);
      return wire.url;
    },
  });
  const everyRoute = await EveryRoute.open(service);
  ({ login, authenticator, requests } = everyRoute);
});
afterAll(async () => {
  wire.restore();
  await service.stop();
  await wire.close();
});

const health = async (name: string): Promise<number> =>
  (await fetch(`${service.running.managementUrl}/health/${name}`)).status;

/** Routes that answer without the database. */
const WITHOUT_DATABASE = [
  'GET /openapi.json',
  'GET /v1/caller',
  'GET /v1/audit/key',
  'GET /v1/receipts/jwks',
  'GET /.well-known/ssf-configuration',
  'GET /v1/signals/jwks',
];

/** Answers to challenges. They need a challenge of their own, so a test makes them. */
const ANSWERS = ['POST /v1/credentials', 'POST /v1/credentials/verify'];

it('every route is tested without the database, or answers without it', () => {
  const tried = [...requests.map(([route]) => route), ...ANSWERS, ...WITHOUT_DATABASE];
  const routes = service.contract.operations.map(({ method, path }) => `${method} ${path}`);
  expect(routes.filter((route) => !tried.includes(route))).toEqual([]);
});

describe('when the database cannot be reached', () => {
  afterEach(() => {
    wire.restore();
  });

  it('every request is answered 503, nothing is changed, and the service goes on when the database is back', async () => {
    const registration = requireStatus(await login.requestRegistration('grace'), 201);
    const authentication = requireStatus(await login.requestAuthentication(), 201);
    const creation = authenticator.create(registration.publicKey, login.origin);
    const assertion = authenticator.get(authentication.publicKey, login.origin, {
      passkey: authenticator.passkeys[0]!,
    });
    const before = await service.digestTables();

    wire.cut();
    for (const [route, request] of requests) expect([route, await request()]).toMatchObject([route, UNAVAILABLE]);
    for (const route of WITHOUT_DATABASE)
      expect([route, await service.client.call('auditor', 'GET', route.replace('GET ', ''))]).toMatchObject([
        route,
        { status: 200 },
      ]);
    expect(await login.answerRegistration(registration.challengeId, creation)).toMatchObject(UNAVAILABLE);
    expect(await login.answerAuthentication(authentication.challengeId, assertion)).toMatchObject(UNAVAILABLE);
    expect(await health('ready')).toBe(503);
    expect(await health('live')).toBe(200);

    wire.restore();
    expect(await service.digestTables()).toEqual(before);
    await until(async () => (await health('ready')) === 200);
    expect(await login.answerRegistration(registration.challengeId, creation)).toMatchObject({ status: 201 });
    expect(await login.answerAuthentication(authentication.challengeId, assertion)).toMatchObject({ status: 200 });
  });

  it('a challenge for any user is issued as long as the relying party was read within the last second', async () => {
    const later = requireStatus(await login.requestAuthentication(), 201);
    wire.cut();
    await sleep(1_100);
    expect(await login.requestAuthentication()).toMatchObject(UNAVAILABLE);
    wire.restore();
    const passkey = authenticator.passkeys[0]!;
    const assertion = authenticator.get(later.publicKey, login.origin, { passkey });
    expect(await login.answerAuthentication(later.challengeId, assertion)).toMatchObject({ status: 200 });
  });

  it('the answer says when to come back', async () => {
    wire.cut();
    const answer = await login.requestAuthentication({ userId: 'ada' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  });

  it('the service does not hang on a database that does not answer', async () => {
    wire.hold();
    expect(await login.requestAuthentication({ userId: 'ada' })).toMatchObject(UNAVAILABLE);
    wire.cut();
  });
});

describe('when the audit log cannot be written (PCI DSS 10.5)', () => {
  /** The sequencer may hold one partition and wait for another meanwhile, so PostgreSQL may end the first try. */
  const acceptEvents = async (): Promise<void> => {
    await until(() =>
      service.sqlAtRows('DROP TRIGGER IF EXISTS refuse ON audit_event').then(
        () => true,
        (error: unknown) => (error as { code?: string }).code !== DEADLOCK && Promise.reject(error as Error),
      ),
    );
  };
  afterEach(acceptEvents);

  it.each([
    ['the disk is full', '53100'],
    ['the role may not write', '42501'],
    ['the server goes down', '57P01'],
  ])('nothing is changed without a record: %s', async (_, sqlState) => {
    await service.sqlAtRows(`
      CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '${sqlState}'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse();
    `);
    const before = await service.digestTables();
    const recorded = requests.filter(([route]) => !UNRECORDED.includes(route));
    for (const [route, request] of recorded) expect([route, await request()]).toMatchObject([route, UNAVAILABLE]);
    expect(await service.digestTables()).toEqual(before);
  });

  it('an answer spends its challenge only with its record, so the caller may send it again', async () => {
    const [right, wrong] = [await login.requestAuthentication(), await login.requestAuthentication()].map((answer) =>
      requireStatus(answer, 201),
    ) as [AuthenticationChallenge, AuthenticationChallenge];
    const passkey = authenticator.passkeys[0]!;
    const answers = [
      [right.challengeId, authenticator.get(right.publicKey, login.origin, { passkey }), 200],
      [wrong.challengeId, authenticator.get(wrong.publicKey, 'https://evil.example', { passkey }), 422],
    ] as const;
    await service.sqlAtRows(`
      CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse();
    `);
    for (const [id, response] of answers)
      expect(await login.answerAuthentication(id, response)).toMatchObject(UNAVAILABLE);
    await acceptEvents();
    for (const [id, response, status] of answers) {
      expect(await login.answerAuthentication(id, response)).toMatchObject({ status });
      expect(await login.answerAuthentication(id, response)).toMatchObject({ status: 409 });
    }
  });
});
