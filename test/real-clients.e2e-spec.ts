import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RelyingPartiesService } from '../src/relying-parties/relying-parties.service.js';
import { RelyingPartySeals } from '../src/relying-parties/relying-party-seals.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeAuthenticationRejected, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

/** Members that browsers, extensions and authenticators write, where WebAuthn Level 3 lets them. */

let service: TestService;
let login: Ceremonies<string>;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

const GROWN: [where: string, interference: Record<string, Record<string, unknown>>][] = [
  ['a new member of PublicKeyCredential.toJSON()', { credential: { clientCapabilities: { x: [1, { y: null }] } } }],
  ['a new member of its response', { response: { attestationObjectV2: 'AAAA', extra: null } }],
  [
    'extension results that were not requested',
    { credential: { clientExtensionResults: { largeBlob: { blob: 'AAAA' }, uvm: [[2, 4, 2]] } } },
  ],
  [
    'secrets of the prf extension',
    { credential: { clientExtensionResults: { prf: { enabled: true, results: { first: 'c2VjcmV0' } } } } },
  ],
  ['extension results that are null', { credential: { clientExtensionResults: null } }],
  ['no extension results', { credential: { clientExtensionResults: undefined } }],
  ['credProps of another type', { credential: { clientExtensionResults: { credProps: true } } }],
  ['credProps that is null', { credential: { clientExtensionResults: { credProps: null } } }],
  ['credProps.rk of another type', { credential: { clientExtensionResults: { credProps: { rk: 'yes' } } } }],
  ['an attachment that is null', { credential: { authenticatorAttachment: null } }],
  ['an unknown attachment', { credential: { authenticatorAttachment: 'hybrid' } }],
  [
    'client data with a new member',
    { clientData: { other_keys_can_be_added_here: 'do not compare clientDataJSON against a template' } },
  ],
  ['client data without crossOrigin', { clientData: { crossOrigin: undefined } }],
];

describe.each(GROWN)('%s (WebAuthn L3 §5.1)', (_, interference) => {
  it('does not keep a passkey from being registered', async () => {
    const answer = await login.register(newUser(), new Authenticator(), { interference });
    expect(answer.status).toBe(201);
  });

  it('does not keep a user from signing in', async () => {
    const authenticator = new Authenticator();
    const user = newUser();
    await login.registered(user, authenticator);
    expect(await login.authenticated(authenticator, { interference })).toMatchObject({ verified: true, userId: user });
  });
});

describe('members that only one of the ceremonies has', () => {
  it.each<[string, Record<string, unknown>]>([
    ['publicKey that is null: the client does not know the algorithm (§5.2.1.1)', { publicKey: null }],
    ['publicKeyAlgorithm that is null', { publicKeyAlgorithm: null }],
    ['authenticatorData that is null', { authenticatorData: null }],
    ['all of them absent', { publicKey: undefined, publicKeyAlgorithm: undefined, authenticatorData: undefined }],
  ])('do not stop a registration with %s', async (_, response) => {
    const answer = await login.register(newUser(), new Authenticator(), { interference: { response } });
    expect(answer.status).toBe(201);
  });

  it.each<[string, unknown]>([
    ['empty', ''],
    ['null', null],
    ['absent', undefined],
  ])('count as absent when the user handle is %s (§5.2.2)', async (_, userHandle) => {
    const authenticator = new Authenticator();
    const user = newUser();
    await login.registered(user, authenticator);
    const named = { challenge: { userId: user }, interference: { response: { userHandle } } };
    expect(await login.authenticated(authenticator, named)).toMatchObject({ userId: user });
    const discoverable = await login.authenticate(authenticator, { interference: { response: { userHandle } } });
    expect(discoverable).toMatchObject(makeAuthenticationRejected('user-handle-mismatch'));
  });
});

describe('transports (WebAuthn L3 §5.2.1: unknown values are stored too)', () => {
  it.each<[string, unknown, string[]]>([
    ['an empty value', ['', 'internal'], ['internal']],
    ['upper case', ['USB'], ['USB']],
    ['a future value', ['future_transport', 'internal'], ['future_transport', 'internal']],
    ['a vendor’s value', ['vendor:x.v2'], ['vendor:x.v2']],
    ['a value with a space and one beyond ASCII', ['a b', 'usb\u00e9', 'nfc'], ['nfc']],
    ['a value of 33 characters', ['x'.repeat(33), 'ble'], ['ble']],
    ['one value twice', ['usb', 'usb'], ['usb']],
    [
      '17 values',
      Array.from({ length: 17 }, (_, n) => `t${String(n + 10)}`),
      Array.from({ length: 16 }, (_, n) => `t${String(n + 10)}`),
    ],
    ['null', null, []],
    ['nothing', undefined, []],
  ])('are read and stored: %s', async (_, transports, kept) => {
    const user = newUser();
    const credential = await login.registered(user, new Authenticator(), {
      interference: { response: { transports } },
    });
    expect(credential.transports).toEqual(kept);
    const { publicKey } = requireStatus(await login.requestAuthentication({ userId: user }), 201);
    expect(publicKey.allowCredentials?.map((descriptor) => descriptor.transports)).toEqual([kept]);
  });

  it.each<[string, unknown]>([
    ['a text', 'usb'],
    ['a number in the list', [7]],
    ['65 values', Array.from({ length: 65 }, () => 'usb')],
    ['a value of 257 characters', ['x'.repeat(257)]],
  ])('are refused with their place: %s', async (_, transports) => {
    const answer = await login.register(newUser(), new Authenticator(), { interference: { response: { transports } } });
    const pointer = expect.stringMatching(/^\/response\/response\/transports/);
    const invalid = expect.arrayContaining([expect.objectContaining({ pointer })]);
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed', { invalid }));
  });
});

describe('conditional create (WebAuthn L3 §5.1.3), for which the client asks the user nothing,', () => {
  const challenge = { mediation: 'conditional' };
  const silent = { flags: { UP: false, UV: false } };

  it('asks for user verification only as far as the client can give it', async () => {
    const { publicKey } = requireStatus(await login.requestRegistration(newUser(), challenge), 201);
    expect(publicKey.authenticatorSelection).toMatchObject({ userVerification: 'preferred' });
    const other = requireStatus(await login.requestRegistration(newUser()), 201);
    expect(other.publicKey.authenticatorSelection).toMatchObject({ userVerification: 'required' });
  });

  it('registers a passkey without presence and verification, reports that, and demands both at sign-in', async () => {
    const authenticator = new Authenticator();
    const credential = await login.registered(newUser(), authenticator, { challenge, interference: silent });
    expect(credential).toMatchObject({ userVerified: false });
    const unverified = await login.authenticate(authenticator, { interference: { flags: { UV: false } } });
    expect(unverified).toMatchObject(makeAuthenticationRejected('user-verification-missing'));
    expect(await login.authenticated(authenticator)).toMatchObject({ userVerified: true });
  });

  it('is decided by the challenge: an answer to another challenge needs both', async () => {
    const answer = await login.register(newUser(), new Authenticator(), { interference: silent });
    expect(answer).toMatchObject(makeProblem(422, 'registration-rejected', { reason: 'user-presence-missing' }));
  });
});

describe('a user with more passkeys than a browser accepts descriptors', () => {
  it('is offered the 64 that were used last, and cannot add another', async () => {
    const user = newUser();
    const authenticator = new Authenticator();
    const { id, credentialId } = await login.registered(user, authenticator);
    await service.sql(
      `INSERT INTO credential
       SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'credential_id', '\\x' || md5(n::text)))).*
         FROM credential c, generate_series(1, 69) n WHERE c.id = $1`,
      [id],
    );
    await login.authenticated(authenticator);
    const { publicKey } = requireStatus(await login.requestAuthentication({ userId: user }), 201);
    expect(publicKey.allowCredentials).toHaveLength(64);
    expect(publicKey.allowCredentials?.[0]?.id).toBe(credentialId);
    expect(await login.requestRegistration(user)).toMatchObject(
      makeProblem(422, 'policy-rejected', { reason: 'too-many-credentials' }),
    );
  });

  it('is offered 64 where a stored policy allows more', async () => {
    const rp = await service.relyingParty('wide.example.com', { maxCredentialsPerUser: 64 });
    const { app } = service.running;
    const party = await app.get(RelyingPartiesService, { strict: false }).get(rp.rpId);
    const policy = { ...party.policy, maxCredentialsPerUser: 100 };
    const { seal } = app.get(RelyingPartySeals, { strict: false }).seal(party, policy);
    await service.sql('UPDATE relying_party SET policy = $2, seal = $3 WHERE rp_id = $1', [rp.rpId, policy, seal]);
    const got = await service.client.call('operator', 'GET', `/v1/relying-parties/${rp.rpId}`);
    expect(got).toMatchObject({ status: 200, body: { policy: { maxCredentialsPerUser: 64 } } });
    const put = await service.client.call('operator', 'PUT', `/v1/relying-parties/${rp.rpId}`, got.body);
    expect(put.status).toBe(200);
  });
});
