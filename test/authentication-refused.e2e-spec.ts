import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { AssertionInterference } from './support/authenticator/interference.js';
import { generateKey } from './support/authenticator/keys.js';
import { makeAuthenticationRejected, type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const SPENT = makeProblem(409, 'challenge-spent');

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

const flipped = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, at) => (at === 10 ? byte ^ 1 : byte)));
const longer = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(1)]);
const ZERO_SIGNATURE = Buffer.from('3006020100020100', 'hex');

const twice = (json: string): string => json.replace('"origin":', '"origin":"https://evil.example","origin":');

/** The defect of the answer, the change that causes it, and the reason of the refusal. */

const REFUSED: [string, AssertionInterference, string][] = [
  ['client data that is not JSON', { clientDataJson: '{"type":' }, 'malformed'],
  ['client data that is null', { clientDataJson: 'null' }, 'malformed'],
  ['client data that is not UTF-8', { clientDataJson: Buffer.from([0x7b, 0xff, 0x7d]) }, 'malformed'],
  ['client data with a member twice', { clientDataJson: twice }, 'malformed'],
  ['a user handle of another user', { userHandle: randomBytes(32) }, 'user-handle-mismatch'],
  ['no user handle where the challenge named no user', { userHandle: null }, 'user-handle-mismatch'],
  ['the type webauthn.create', { clientData: { type: 'webauthn.create' } }, 'type-mismatch'],
  ['no type', { clientData: { type: undefined } }, 'type-mismatch'],
  ['another challenge', { clientData: { challenge: randomBytes(32).toString('base64url') } }, 'challenge-mismatch'],
  ['another origin', { clientData: { origin: 'https://evil.example' } }, 'origin-mismatch'],
  ['a cross-origin frame', { clientData: { crossOrigin: true } }, 'cross-origin-denied'],
  ['a top origin', { clientData: { crossOrigin: true, topOrigin: 'https://evil.example' } }, 'cross-origin-denied'],
  ['a top origin without a frame', { clientData: { topOrigin: 'https://evil.example' } }, 'cross-origin-denied'],
  ['another RP ID', { rpId: 'example.com' }, 'rp-id-mismatch'],
  ['no user presence', { flags: { UP: false } }, 'user-presence-missing'],
  ['no user verification', { flags: { UV: false } }, 'user-verification-missing'],
  [
    'a passkey that is backed up but not eligible for backup',
    { flags: { BE: false, BS: true } },
    'backup-flags-invalid',
  ],
  [
    'a passkey that is no longer eligible for backup',
    { flags: { BE: false, BS: false } },
    'backup-eligibility-changed',
  ],
  ['a flipped bit in the signature', { signature: flipped }, 'signature-invalid'],
  ['a byte after the signature', { signature: longer }, 'signature-invalid'],
  ['an empty sequence for a signature', { signature: () => Buffer.from('3000', 'hex') }, 'signature-invalid'],
  ['r = s = 0', { signature: () => ZERO_SIGNATURE }, 'signature-invalid'],
  ['a signature that is not DER', { signature: () => Buffer.alloc(64, 1) }, 'signature-invalid'],
  ['a credential id that is not the raw id', { credential: { rawId: 'AAAA' } }, 'credential-id-invalid'],
  ['authenticator data that is too short', { authenticatorData: (bytes) => bytes.subarray(0, 36) }, 'malformed'],
  ['authenticator data with one byte too many', { authenticatorData: longer }, 'malformed'],
  ['extension data that is announced but missing', { flags: { ED: true } }, 'malformed'],
];

describe('POST /v1/credentials/verify, WebAuthn L3 §7.2', () => {
  it.each(REFUSED)('rejects %s', async (_, interference, reason) => {
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication(), 201);
    const response = authenticator.get(publicKey, login.origin, interference);
    const answer = await login.answerAuthentication(challengeId, response);
    expect(answer).toMatchObject(makeAuthenticationRejected(reason));
    const honest = authenticator.get(publicKey, login.origin);
    expect(await login.answerAuthentication(challengeId, honest)).toMatchObject(SPENT);
    expect(await service.readCredential(credential.id)).toEqual(credential);
  });

  it('rejects a signature by a key that is not the registered one', async () => {
    const passkey = { ...authenticator.newest, key: generateKey('ES256') };
    const answer = await login.authenticate(authenticator, { interference: { passkey } });
    expect(answer).toMatchObject(makeAuthenticationRejected('signature-invalid'));
  });

  it('ignores extensions that were not requested', async () => {
    const interference = { extensions: { 'example.com/unknown': [1, 2, 3] } };
    expect(await login.authenticate(authenticator, { interference })).toMatchObject({ status: 200 });
  });

  it.each([
    'http://login.example.com',
    'https://login.example.com:444',
    'https://login.example.com.',
    'https://a.login.example.com',
    'https://example.com',
    'https://Login.example.com',
    'https://login.example.com:443',
    'https://login.example.com#',
    'https://login.example.com@evil.example',
    'https://login.еxample.com',
    ' https://login.example.com',
    'null',
  ])('rejects the origin %j', async (origin) => {
    const answer = await login.authenticate(authenticator, { interference: { clientData: { origin } } });
    expect(answer).toMatchObject(makeAuthenticationRejected('origin-mismatch'));
  });

  it('takes neither the RP ID nor an origin from the request', async () => {
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication(), 201);
    const origin = 'https://evil.example';
    const response = authenticator.get(publicKey, origin);
    const answer = await login.answerAuthentication(challengeId, response, { rpId: 'evil.example', origin });
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed'));
  });
});
