import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';
import { Severable } from './support/severable.js';
import { until } from './support/until.js';

const UNAVAILABLE = makeProblem(503, 'unavailable');

let service: TestService;
let wire: Severable;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;

beforeAll(async () => {
  service = await TestService.start({
    databaseUrl: async (url) => {
      wire = await Severable.openBefore(url);
      return wire.url;
    },
  });
  login = await service.relyingParty('login.example.com');
  authenticator = new Authenticator();
  credential = await login.registered('ada', authenticator);
});
afterAll(async () => {
  wire.restore();
  await service.stop();
  await wire.close();
});

const health = async (name: string): Promise<number> =>
  (await fetch(`${service.running.managementUrl}/health/${name}`)).status;

/** Every route that needs the database, with a request that would succeed. */
const requests = (): [string, () => Promise<unknown>][] => {
  const call = (identity: string, method: string, path: string, body?: unknown) => () =>
    service.client.call(identity, method, path, body);
  const id = credential.id;
  const settings = { name: 'New', origins: ['https://new.example.com'] };
  return [
    ['a registration challenge', () => login.requestRegistration('grace')],
    ['an authentication challenge', () => login.requestAuthentication()],
    ['a list', call('auth-service', 'GET', '/v1/credentials')],
    ['a credential', call('auth-service', 'GET', `/v1/credentials/${id}`)],
    ['rename', call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name: 'Renamed' })],
    ['suspend', call('auth-service', 'POST', `/v1/credentials/${id}/suspend`, { reason: 'x' })],
    ['revoke', call('auth-service', 'POST', `/v1/credentials/${id}/revoke`, { reason: 'x' })],
    ['signals', call('auth-service', 'GET', '/v1/users/ada/signals?rpId=login.example.com')],
    ['erasure', call('operator', 'DELETE', '/v1/users/ada?rpId=login.example.com')],
    ['relying parties', call('operator', 'GET', '/v1/relying-parties')],
    ['a change of a relying party', call('operator', 'PUT', '/v1/relying-parties/new.example.com', settings)],
    ['the audit log', call('auditor', 'GET', '/v1/audit/events')],
    ['a denial that must be recorded', call('stranger', 'GET', '/v1/credentials')],
  ];
};

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
    for (const [name, request] of requests()) expect([name, await request()]).toMatchObject([name, UNAVAILABLE]);
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

  it('the answer says when to come back', async () => {
    wire.cut();
    const answer = await login.requestAuthentication();
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  });

  it('the service does not hang on a database that does not answer', async () => {
    wire.hold();
    const begun = Date.now();
    expect(await login.requestAuthentication()).toMatchObject(UNAVAILABLE);
    expect(Date.now() - begun).toBeLessThan(10_000);
    wire.cut();
  });
});

describe('when the audit log cannot be written (PCI DSS 10.5)', () => {
  afterEach(() => service.sql('DROP TRIGGER IF EXISTS refuse ON audit_event'));

  it.each([
    ['the disk is full', '53100'],
    ['the role may not write', '42501'],
    ['the server goes down', '57P01'],
  ])('nothing is changed without a record: %s', async (_, sqlState) => {
    await service.sql(`
      CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '${sqlState}'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse();
    `);
    const before = await service.digestTables();
    const recorded = requests().filter(
      ([name]) => !['a list', 'a credential', 'signals', 'relying parties'].includes(name),
    );
    for (const [name, request] of recorded) expect([name, await request()]).toMatchObject([name, UNAVAILABLE]);
    expect(await service.digestTables()).toEqual(before);
  });
});
