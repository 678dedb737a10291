import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const ANDROID = 'android:apk-key-hash:0tCQg5-ykZ3jM7bV3m6Kz1qJx8dS5nHfYpLw2uReT9o';
const DEFAULT_POLICY = {
  userVerification: 'required',
  residentKey: 'required',
  attestation: { conveyance: 'none', trust: 'any' },
  authenticators: { unknown: 'allow' },
  algorithms: [-48, -8, -7, -257],
  backup: 'any',
  maxCredentialsPerUser: 20,
  challengeTtlSeconds: 300,
  signCountRegression: 'reject',
  allowSha1Tpm: false,
  crossOrigin: { allow: false, topOrigins: [] },
  identityProof: { required: true, maxAgeSeconds: 900 },
  userLimits: { challengesPerMinute: 120, refusalsPerHalfHour: 100 },
  purposes: {},
};

interface RelyingParty {
  rpId: string;
  version: number;
  createdAt: string;
  updatedAt: string;
}

let service: TestService;
let count = 0;
const newRpId = (): string => `rp-${String((count += 1))}.example.com`;

beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

const makePurposes = (length: number): object =>
  Object.fromEntries(Array.from({ length }, (_, n) => [`purpose-${String(n)}`, { backup: 'any' }]));

const put = (rpId: string, settings: Record<string, unknown> = {}) =>
  service.client.call<RelyingParty>('operator', 'PUT', `/v1/relying-parties/${rpId}`, {
    name: 'Example',
    origins: [`https://${rpId}`],
    ...settings,
  });

const get = (rpId: string) => service.client.call<RelyingParty>('operator', 'GET', `/v1/relying-parties/${rpId}`);

describe('PUT /v1/relying-parties/{rpId}', () => {
  it('creates a relying party with every default', async () => {
    const rpId = newRpId();
    const answer = await put(rpId);
    expect(answer).toMatchObject({
      status: 201,
      body: {
        rpId,
        name: 'Example',
        origins: [`https://${rpId}`],
        enabled: true,
        policy: DEFAULT_POLICY,
        version: 1,
        createdAt: answer.body.updatedAt,
      },
    });
    expect(await get(rpId)).toMatchObject({ status: 200, body: answer.body });
  });

  it('replaces the settings of a relying party', async () => {
    const rpId = newRpId();
    const created = requireStatus(await put(rpId), 201);
    service.clock.advance(1);
    const answer = await put(rpId, { name: 'Another', policy: { maxCredentialsPerUser: 3 } });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        name: 'Another',
        policy: { ...DEFAULT_POLICY, maxCredentialsPerUser: 3 },
        version: 2,
        createdAt: created.createdAt,
      },
    });
    expect(Date.parse(answer.body.updatedAt)).toBeGreaterThan(Date.parse(created.updatedAt));
  });

  it('gives an omitted member its default, not its former value', async () => {
    const rpId = newRpId();
    await put(rpId, { policy: { maxCredentialsPerUser: 3, identityProof: { required: false } } });
    expect(await put(rpId)).toMatchObject({ status: 200, body: { policy: DEFAULT_POLICY } });
  });

  it('is idempotent', async () => {
    const rpId = newRpId();
    const { status: _, ...created } = await put(rpId);
    expect(await put(rpId)).toMatchObject({ status: 200, body: created.body });
  });

  it('accepts the settings that it returned, and refuses settings that were read before another change', async () => {
    const rpId = newRpId();
    const read = requireStatus(await put(rpId), 201);
    expect(await put(rpId, { ...read, name: 'First' })).toMatchObject({
      status: 200,
      body: { name: 'First', version: 2 },
    });
    expect(await put(rpId, { ...read, name: 'Second' })).toMatchObject(makeProblem(409, 'relying-party-conflict'));
    expect(await get(rpId)).toMatchObject({ body: { name: 'First', version: 2 } });
  });

  it('loses no change when several come at the same time', async () => {
    const rpId = newRpId();
    const read = requireStatus(await put(rpId), 201);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) => put(rpId, { name: `Writer ${String(at)}`, version: read.version })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(409)]);
  });

  it('creates a relying party once when several requests come at the same time', async () => {
    const rpId = newRpId();
    const answers = await Promise.all(Array.from({ length: 8 }, () => put(rpId)));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array<number>(7).fill(200), 201]);
  });

  it.each<[string, unknown]>([
    ['an http origin', ['http://login.example.com']],
    ['an origin with a path', ['https://login.example.com/']],
    ['an origin with a query', ['https://login.example.com?a']],
    ['an origin in capitals', ['https://LOGIN.example.com']],
    ['an origin with userinfo', ['https://ada@login.example.com']],
    ['a wildcard', ['https://*.example.com']],
    ['no origin', []],
    ['an origin twice', ['https://login.example.com', 'https://login.example.com']],
    ['a scheme other than https', ['ftp://login.example.com']],
    ['an Android key hash that is not a SHA-256', ['android:apk-key-hash:AAAA']],
    ['text', 'https://login.example.com'],
  ])('refuses %s', async (_, origins) => {
    const answer = await put(newRpId(), { origins });
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed'));
    expect(JSON.stringify(answer.body)).toContain('/origins');
  });

  it.each(['https://login.example.com:8443', 'http://localhost:3000', 'http://app.localhost', ANDROID])(
    'accepts the origin %s',
    async (origin) => {
      expect(await put(newRpId(), { origins: [origin] })).toMatchObject({ status: 201, body: { origins: [origin] } });
    },
  );

  it.each<[string, unknown, string]>([
    ['an unknown user verification', { userVerification: 'sometimes' }, '/policy/userVerification'],
    ['an algorithm that the service cannot verify', { algorithms: [-47] }, '/policy/algorithms'],
    ['no algorithm', { algorithms: [] }, '/policy/algorithms'],
    [
      'a format that the service does not know',
      { attestation: { formats: ['no-such'] } },
      '/policy/attestation/formats',
    ],
    ['a malformed AAGUID', { authenticators: { deny: ['yubikey'] } }, '/policy/authenticators/deny'],
    ['a challenge lifetime of zero', { challengeTtlSeconds: 0 }, '/policy/challengeTtlSeconds'],
    ['a challenge lifetime of a day', { challengeTtlSeconds: 86_400 }, '/policy/challengeTtlSeconds'],
    ['no passkeys at all', { maxCredentialsPerUser: 0 }, '/policy/maxCredentialsPerUser'],
    ['an unknown rule for backups', { backup: 'none' }, '/policy/backup'],
    ['an unknown rule', { phishing: 'resistant' }, '/policy/phishing'],
    ['an unknown nested rule', { crossOrigin: { allow: false, why: 'not' } }, '/policy/crossOrigin/why'],
    ['text for a boolean', { identityProof: { required: 'true' } }, '/policy/identityProof/required'],
    ['a list of purposes', { purposes: ['pay'] }, '/policy/purposes'],
    ['seventeen purposes', { purposes: makePurposes(17) }, '/policy/purposes'],
    ['a name that no request can give as its purpose', { purposes: { 'to pay': {} } }, '/policy/purposes'],
    ['a purpose that is null', { purposes: { pay: null } }, '/policy/purposes/pay'],
    ['a purpose that is a list', { purposes: { pay: [] } }, '/policy/purposes/pay'],
    ['a purpose that is text', { purposes: { pay: 'required' } }, '/policy/purposes/pay'],
    ['a purpose named __proto__', JSON.parse('{"purposes":{"__proto__":{}}}'), '/policy/purposes/__proto__'],
    [
      'an unknown rule of a purpose',
      { purposes: { pay: { residentKey: 'required' } } },
      '/policy/purposes/pay/residentKey',
    ],
    [
      'an unknown demand of a purpose',
      { purposes: { 'pay/card': { backup: 'no' } } },
      '/policy/purposes/pay~1card/backup',
    ],
    [
      'a purpose whose challenges live for two hours',
      { purposes: { pay: { challengeTtlSeconds: 7_200 } } },
      '/policy/purposes/pay/challengeTtlSeconds',
    ],
    ['a sign-in without age', { purposes: { pay: { maxAgeSeconds: 0 } } }, '/policy/purposes/pay/maxAgeSeconds'],
    [
      'a sign-in of more than a day ago',
      { purposes: { pay: { maxAgeSeconds: 86_401 } } },
      '/policy/purposes/pay/maxAgeSeconds',
    ],
    ['null for a demand', { purposes: { pay: { attestation: null } } }, '/policy/purposes/pay/attestation'],
  ])('refuses %s', async (_, policy, pointer) => {
    const answer = await put(newRpId(), { policy });
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed'));
    expect(JSON.stringify(answer.body)).toContain(`"${pointer}`);
  });

  it('stores purposes, returns them, and changes nothing when they come back in another order', async () => {
    const rpId = newRpId();
    const pay = {
      userVerification: 'required',
      challengeTtlSeconds: 60,
      backup: 'synced',
      attestation: 'any',
      maxAgeSeconds: 86_400,
    };
    const purposes = { pay, 'pay/card:4711': {}, ...makePurposes(14) };
    expect(await put(rpId, { policy: { purposes } })).toMatchObject({ status: 201, body: { policy: { purposes } } });
    const got = await get(rpId);
    expect(got.body).toMatchObject({ version: 1, policy: { purposes } });
    const turned = Object.fromEntries(Object.entries(purposes).reverse());
    expect(await put(rpId, { policy: { purposes: turned } })).toMatchObject({ status: 200, body: { version: 1 } });
    expect(await put(rpId, { ...got.body })).toMatchObject({ status: 200, body: { version: 1, policy: { purposes } } });
    expect(await put(rpId)).toMatchObject({ status: 200, body: { version: 2, policy: { purposes: {} } } });
  });

  it.each([
    'Login.example.com',
    '-login.example.com',
    'login..example.com',
    'https:',
    'login.example.com:8443',
    '127.0.0.1_',
  ])('refuses the RP ID %j', async (rpId) => {
    expect(await put(encodeURIComponent(rpId), { origins: ['https://example.com'] })).toMatchObject({ status: 400 });
  });

  it('refuses a body for another relying party', async () => {
    expect(await put(newRpId(), { rpId: 'login.example.com' })).toMatchObject(makeProblem(400, 'request-malformed'));
  });
});

describe('GET /v1/relying-parties', () => {
  it('lists every relying party', async () => {
    const rpId = newRpId();
    const created = requireStatus(await put(rpId), 201);
    const { data } = requireStatus(
      await service.client.call<{ data: RelyingParty[] }>('operator', 'GET', '/v1/relying-parties'),
      200,
    );
    expect(data.find((entry) => entry.rpId === rpId)).toEqual(created);
  });

  it('begins with the one for development', async () => {
    expect(await get('localhost')).toMatchObject({ status: 200, body: { origins: ['http://localhost:3000'] } });
  });

  it('answers 404 for any other', async () => {
    expect(await get('nowhere.example.com')).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});

describe('GET /v1/relying-parties/{rpId}/related-origins', () => {
  it('returns the document for /.well-known/webauthn: the web origins of other domains', async () => {
    const rpId = newRpId();
    const related = ['https://example.de', 'https://example.co.uk'];
    await put(rpId, { origins: [`https://${rpId}`, ...related, ANDROID] });
    const answer = await service.client.call('operator', 'GET', `/v1/relying-parties/${rpId}/related-origins`);
    expect(answer).toMatchObject({ status: 200, body: { origins: related } });
  });

  it('answers 404 for any other', async () => {
    const path = '/v1/relying-parties/nowhere.example.com/related-origins';
    expect(await service.client.call('operator', 'GET', path)).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});

describe('a relying party that is disabled', () => {
  it('takes part in no ceremony, from the next request on', async () => {
    const rpId = newRpId();
    const rp = await service.relyingParty(rpId);
    const authenticator = new Authenticator();
    await rp.registered('ada', authenticator);
    const registration = requireStatus(await rp.requestRegistration('ada'), 201);
    const authentication = requireStatus(await rp.requestAuthentication(), 201);
    await service.relyingParty(rpId, {}, { enabled: false });

    const refused = await Promise.all([
      rp.requestRegistration('ada'),
      rp.requestAuthentication(),
      rp.answerRegistration(registration.challengeId, authenticator.create(registration.publicKey, rp.origin)),
      rp.answerAuthentication(authentication.challengeId, authenticator.get(authentication.publicKey, rp.origin)),
    ]);
    for (const { status } of refused) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
  });

  it('takes part again when it is enabled again', async () => {
    const rpId = newRpId();
    const rp = await service.relyingParty(rpId, {}, { enabled: false });
    await service.relyingParty(rpId);
    expect(await rp.requestRegistration('ada')).toMatchObject({ status: 201 });
  });
});
