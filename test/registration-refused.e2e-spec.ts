import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Attestation, falsified, noAttestation, packedSelf } from './support/authenticator/attestation.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { CreationInterference } from './support/authenticator/interference.js';
import { encodeCose, generateKey } from './support/authenticator/keys.js';
import { makePolicyRejected, makeProblem, makeRegistrationRejected } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const SPENT = makeProblem(409, 'challenge-spent');

let service: TestService;
let login: Ceremonies<string>;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

const POINT = generateKey('ES256').spki.subarray(-64);
const [X, Y] = [POINT.subarray(0, 32), POINT.subarray(32)];
const EXPONENT = Buffer.from([1, 0, 1]);
const cose = (...members: [number, unknown][]): Buffer => encodeCose(new Map(members));
const selfWith = (members: Record<string, unknown>): Attestation =>
  falsified(packedSelf, ({ fmt, attStmt }) => ({ fmt, attStmt: { ...attStmt, ...members } }));

const twice = (json: string): string => json.replace('"origin":', '"origin":"https://evil.example","origin":');

/** The defect of the answer, the change that causes it, and the reason of the refusal. */

const REFUSED: [string, CreationInterference, string][] = [
  ['client data that is not JSON', { clientDataJson: '{' }, 'malformed'],
  ['client data that is not an object', { clientDataJson: '[]' }, 'malformed'],
  ['client data that is not UTF-8', { clientDataJson: Buffer.from([0x7b, 0xff, 0x7d]) }, 'malformed'],
  ['client data with a member twice', { clientDataJson: twice }, 'malformed'],
  ['the type webauthn.get', { clientData: { type: 'webauthn.get' } }, 'type-mismatch'],
  ['another challenge', { clientData: { challenge: 'AAAAAAAAAAAAAAAAAAAAAA' } }, 'challenge-mismatch'],
  ['another origin', { clientData: { origin: 'https://evil.example' } }, 'origin-mismatch'],
  ['an origin that is not text', { clientData: { origin: ['https://login.example.com'] } }, 'origin-mismatch'],
  ['a cross-origin frame', { clientData: { crossOrigin: true } }, 'cross-origin-denied'],
  ['a top origin', { clientData: { crossOrigin: true, topOrigin: 'https://evil.example' } }, 'cross-origin-denied'],
  ['a top origin without a frame', { clientData: { topOrigin: 'https://evil.example' } }, 'cross-origin-denied'],
  ['another RP ID', { rpId: 'evil.example' }, 'rp-id-mismatch'],
  ['no user presence', { flags: { UP: false } }, 'user-presence-missing'],
  ['no user verification', { flags: { UV: false } }, 'user-verification-missing'],
  [
    'a passkey that is backed up but not eligible for backup',
    { flags: { BE: false, BS: true } },
    'backup-flags-invalid',
  ],
  ['an algorithm that was not offered', { key: generateKey('ES384') }, 'algorithm-denied'],
  [
    'an unknown attestation format',
    { attestation: () => ({ fmt: 'no-such', attStmt: {} }) },
    'attestation-format-denied',
  ],
  [
    'android-key without certificates',
    { attestation: () => ({ fmt: 'android-key', attStmt: { x5c: [] } }) },
    'attestation-invalid',
  ],
  [
    'a statement in none',
    { attestation: (a) => ({ ...noAttestation(a), attStmt: { alg: -7 } }) },
    'attestation-invalid',
  ],
  [
    'a self attestation with a broken signature',
    { attestation: selfWith({ sig: Buffer.alloc(70) }) },
    'attestation-invalid',
  ],
  ['a self attestation of another algorithm', { attestation: selfWith({ alg: -257 }) }, 'attestation-invalid'],
  ['an empty certificate chain', { attestation: selfWith({ x5c: [] }) }, 'attestation-invalid'],
  [
    'a certificate that cannot be parsed',
    { attestation: selfWith({ x5c: [Buffer.alloc(32)] }) },
    'attestation-invalid',
  ],
  [
    'an empty credential id',
    { credentialId: Buffer.alloc(0), credential: { id: 'AAAA', rawId: 'AAAA' } },
    'credential-id-invalid',
  ],
  ['a credential id of 1,024 bytes', { credentialId: Buffer.alloc(1_024, 1) }, 'credential-id-invalid'],
  ['an id that is not the raw id', { credential: { id: 'AAAA' } }, 'credential-id-invalid'],
  ['ids that are not the attested one', { credential: { id: 'AAAA', rawId: 'AAAA' } }, 'credential-id-invalid'],
  [
    'no attested credential data',
    { flags: { AT: false }, authenticatorData: (bytes) => bytes.subarray(0, 37) },
    'malformed',
  ],
  [
    'authenticator data with one byte too many',
    { authenticatorData: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) },
    'malformed',
  ],
  ['authenticator data with one byte too few', { authenticatorData: (bytes) => bytes.subarray(0, -1) }, 'malformed'],
  ['an attestation object with one byte too few', { attestationObject: (bytes) => bytes.subarray(0, -1) }, 'malformed'],
  [
    'an attestation object with one byte too many',
    { attestationObject: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) },
    'malformed',
  ],
  [
    'an attestation object of 2 GiB by its header',
    { attestationObject: () => Buffer.from('5a80000000', 'hex') },
    'malformed',
  ],
  ['CBOR 20,000 deep', { attestationObject: () => Buffer.alloc(20_000, 0x81) }, 'malformed'],
  ['CBOR of indefinite length', { attestationObject: () => Buffer.from('bfff', 'hex') }, 'malformed'],
  [
    'a point that is not on the curve',
    { coseKey: cose([1, 2], [3, -7], [-1, 1], [-2, X], [-3, Buffer.alloc(32, 7)]) },
    'public-key-invalid',
  ],
  ['a key without its y', { coseKey: cose([1, 2], [3, -7], [-1, 1], [-2, X]) }, 'public-key-invalid'],
  [
    'a key whose curve does not fit its algorithm',
    { coseKey: cose([1, 2], [3, -7], [-1, 2], [-2, X], [-3, Y]) },
    'public-key-invalid',
  ],
  [
    'a key whose type does not fit its algorithm',
    { coseKey: cose([1, 3], [3, -7], [-1, X], [-2, EXPONENT]) },
    'public-key-invalid',
  ],
  [
    'an Ed25519 key of small order',
    { coseKey: cose([1, 1], [3, -8], [-1, 6], [-2, Buffer.alloc(32)]) },
    'public-key-invalid',
  ],
  [
    'an RSA key of 512 bits',
    { coseKey: cose([1, 3], [3, -257], [-1, Buffer.alloc(64, 0xff)], [-2, EXPONENT]) },
    'public-key-invalid',
  ],
  [
    'an RSA key with the exponent 1',
    { coseKey: cose([1, 3], [3, -257], [-1, Buffer.alloc(256, 0xff)], [-2, Buffer.from([1])]) },
    'public-key-invalid',
  ],
];

describe('POST /v1/credentials, WebAuthn L3 §7.1', () => {
  it.each(REFUSED)('rejects %s', async (_, interference, reason) => {
    const user = newUser();
    const challenge = requireStatus(await login.requestRegistration(user), 201);
    const response = new Authenticator({ aaguid: AAGUID }).create(challenge.publicKey, login.origin, interference);
    const answer = await login.answerRegistration(challenge.challengeId, response);
    expect(answer).toMatchObject(makeRegistrationRejected(reason));
    const honest = new Authenticator().create(challenge.publicKey, login.origin);
    expect(await login.answerRegistration(challenge.challengeId, honest)).toMatchObject(SPENT);
    const list = `/v1/credentials?rpId=login.example.com&userId=${user}`;
    expect(await service.client.call('auth-service', 'GET', list)).toMatchObject({ body: { data: [] } });
  });

  it('ignores extensions that were not requested', async () => {
    const interference = { extensions: { credProtect: 2, 'example.com/unknown': { a: [1, 2] } } };
    expect(await login.register(newUser(), new Authenticator(), { interference })).toMatchObject({ status: 201 });
  });

  it.each([
    'http://login.example.com',
    'https://login.example.com:8443',
    'https://login.example.com.',
    'https://login.example.com/',
    'https://www.login.example.com',
    'https://example.com',
    'https://LOGIN.example.com',
    'https://login.example.com@evil.example',
    'https://ada@login.example.com',
    'https://login.exаmple.com',
    'https://xn--login-exmple-com',
    'android:apk-key-hash:0tCQg5-ykZ3jM7bV3m6Kz1qJx8dS5nHfYpLw2uReT9o',
    'null',
    '',
  ])('rejects the origin %j', async (origin) => {
    const answer = await login.register(newUser(), new Authenticator(), { interference: { clientData: { origin } } });
    expect(answer).toMatchObject(makeRegistrationRejected('origin-mismatch'));
  });

  describe('enforces the policy on the answer, not only in the options:', () => {
    const OTHER = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';

    const DENIED: [string, Record<string, unknown>, ConstructorParameters<typeof Authenticator>[0], string][] = [
      ['a format that is not listed', { attestation: { formats: ['packed'] } }, {}, 'attestation-format-denied'],
      [
        'an authenticator that is denied',
        { authenticators: { deny: [AAGUID] } },
        { aaguid: AAGUID },
        'authenticator-denied',
      ],
      [
        'an authenticator that is denied, attested by itself',
        { authenticators: { deny: [AAGUID] } },
        { aaguid: AAGUID, attestation: packedSelf },
        'authenticator-denied',
      ],
      [
        'an authenticator beside the allowed ones',
        { authenticators: { allow: [OTHER], unknown: 'deny' } },
        { aaguid: AAGUID },
        'authenticator-denied',
      ],
      ['a synced passkey where devices are demanded', { backup: 'device-bound' }, {}, 'backup-state-denied'],
      [
        'a device-bound passkey where synced ones are',
        { backup: 'synced' },
        { backupEligible: false, backedUp: false },
        'backup-state-denied',
      ],
    ];

    it.each(DENIED)('refuses %s', async (_, policy, model, reason) => {
      const rp = await service.relyingParty('policy.example.com', policy);
      const answer = await rp.register(newUser(), new Authenticator(model));
      expect(answer).toMatchObject(makeRegistrationRejected(reason));
    });

    it('refuses another attachment than the requested one', async () => {
      const challenge = { authenticatorAttachment: 'cross-platform' };
      const answer = await login.register(newUser(), new Authenticator(), { challenge });
      expect(answer).toMatchObject(makeRegistrationRejected('authenticator-denied'));
    });

    it('holds a passkey for payments to its attachment and to user verification, whatever the policy says', async () => {
      const rp = await service.relyingParty('payments.example.com', { userVerification: 'discouraged' });
      const challenge = { payment: true };
      const unverified = { challenge, interference: { flags: { UV: false } } };
      expect(await rp.register(newUser(), new Authenticator(), unverified)).toMatchObject(
        makeRegistrationRejected('user-verification-missing'),
      );
      const roaming = { challenge, interference: { credential: { authenticatorAttachment: 'cross-platform' } } };
      expect(await rp.register(newUser(), new Authenticator(), roaming)).toMatchObject(
        makeRegistrationRejected('authenticator-denied'),
      );
      expect(await rp.register(newUser(), new Authenticator(), { challenge })).toMatchObject({ status: 201 });
    });

    it('refuses a credential that the browser reports as not discoverable', async () => {
      const interference = { credential: { clientExtensionResults: { credProps: { rk: false } } } };
      const answer = await login.register(newUser(), new Authenticator(), { interference });
      expect(answer).toMatchObject(makeRegistrationRejected('authenticator-denied'));
      const rp = await service.relyingParty('server-side.example.com', { residentKey: 'discouraged' });
      const lax = await rp.register(newUser(), new Authenticator(), { interference });
      expect(lax).toMatchObject({ status: 201, body: { discoverable: false } });
    });

    it('counts the passkeys again when the answer comes', async () => {
      const few = await service.relyingParty('one.example.com', { maxCredentialsPerUser: 1 });
      const challenges = [await few.requestRegistration('ada'), await few.requestRegistration('ada')];
      const answers = [];
      for (const { body } of challenges) {
        const response = new Authenticator().create(body.publicKey, few.origin);
        answers.push(await few.answerRegistration(body.challengeId, response));
      }
      expect(answers[0]).toMatchObject({ status: 201 });
      expect(answers[1]).toMatchObject(makePolicyRejected('too-many-credentials'));
    });

    it('accepts no user verification where it is only preferred, and says so', async () => {
      const rp = await service.relyingParty('preferred.example.com', { userVerification: 'preferred' });
      const answer = await rp.register(newUser(), new Authenticator(), { interference: { flags: { UV: false } } });
      expect(answer).toMatchObject({ status: 201, body: { userVerified: false } });
    });

    it('accepts a frame in the top origins that the policy names, and in no other', async () => {
      const top = 'https://bank.example';
      const rp = await service.relyingParty('frame.example.com', { crossOrigin: { allow: true, topOrigins: [top] } });
      const framedBy = (topOrigin: string) =>
        rp.register(newUser(), new Authenticator(), { interference: { clientData: { crossOrigin: true, topOrigin } } });
      expect(await framedBy(top)).toMatchObject({ status: 201 });
      expect(await framedBy('https://evil.example')).toMatchObject(makeRegistrationRejected('cross-origin-denied'));
    });
  });

  describe('enforces conditional create, which', () => {
    const unseen: { interference: CreationInterference } = { interference: { flags: { UP: false, UV: false } } };

    it('needs no user presence when the challenge was issued for it', async () => {
      const rp = await service.relyingParty('conditional.example.com', { userVerification: 'preferred' });
      const challenge = { mediation: 'conditional' };
      expect(await rp.register(newUser(), new Authenticator(), { ...unseen, challenge })).toMatchObject({
        status: 201,
      });
    });

    it('cannot be claimed by the answer', async () => {
      const rp = await service.relyingParty('conditional.example.com', { userVerification: 'preferred' });
      const answer = await rp.register(newUser(), new Authenticator(), unseen);
      expect(answer).toMatchObject(makeRegistrationRejected('user-presence-missing'));
    });
  });
});
