import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { createValidationPipe } from '../../http/validation.js';
import { Problem } from '../../http/problem.js';
import { RegisterCredentialDto, VerifyAuthenticationDto } from './ceremony-answer.dto.js';

/*
 * The dictionaries that a browser writes, member by member. `npm run conformance` makes docs/webauthn-conformance.md
 * from the titles: a `describe` names a member and quotes its clause.
 */

type Members = Record<string, unknown>;

const challengeId = '0199b4e0-0000-7000-8000-000000000001';
const credential = { id: 'AAAA', rawId: 'AAAA', type: 'public-key', clientExtensionResults: {} };
const created = { clientDataJSON: 'AAAA', attestationObject: 'AAAA' };
const asserted = { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' };
const repeatLetter = (length: number): string => 'A'.repeat(length);

const validateBody = (body: object, metatype: new () => object): Promise<Members> =>
  createValidationPipe().transform(body, { type: 'body', metatype }) as Promise<Members>;

/** Validates members of `PublicKeyCredential.toJSON()` in the answers of both ceremonies. */
const transformCredential = (members: Members) =>
  Promise.all([
    validateBody({ challengeId, response: { ...credential, response: created, ...members } }, RegisterCredentialDto),
    validateBody({ challengeId, response: { ...credential, response: asserted, ...members } }, VerifyAuthenticationDto),
  ]).then((answers) => answers.map(({ response }) => response as Members));
const transformCreation = (members: Members) =>
  validateBody(
    { challengeId, response: { ...credential, response: { ...created, ...members } } },
    RegisterCredentialDto,
  ).then(({ response }) => (response as { response: Members }).response);
const transformAssertion = (members: Members) =>
  validateBody(
    { challengeId, response: { ...credential, response: { ...asserted, ...members } } },
    VerifyAuthenticationDto,
  ).then(({ response }) => (response as { response: Members }).response);

type Place = (members: Members) => Promise<unknown>;

async function expectRefused(place: Place, members: Members, name: string): Promise<void> {
  const problem: unknown = await place(members).catch((error: unknown) => error);
  expect(problem).toBeInstanceOf(Problem);
  expect((problem as Problem).members.invalid?.map(({ pointer }) => pointer.split('/').includes(name))).toContain(true);
}

/** Tests a required member that is text in base64url. */
function describeBytes(place: Place, name: string): void {
  it('accepts 1 to 65,536 characters', async () => {
    await place({ [name]: 'A' });
    await place({ [name]: repeatLetter(65_536) });
  });
  it.each<[string, unknown]>([
    ['an absent one', undefined],
    ['null', null],
    ['an empty one', ''],
    ['padding', 'AA=='],
    ['base64', 'a+b/'],
    ['bytes as a list', [1, 2]],
  ])('refuses %s', (_, value) => expectRefused(place, { [name]: value }, name));
  it('is stricter than the clause for the service’s sake: 65,536 characters at most', () =>
    expectRefused(place, { [name]: repeatLetter(65_537) }, name));
}

/** Tests a member that the service does not read, because it has the value from elsewhere. */
function describeUnread(place: Place, name: string): void {
  it.each<[string, unknown]>([
    ['an absent one', undefined],
    ['null', null],
    ['an empty one', ''],
    ['another one than the attestation object’s, which is not read', 'AAAA'],
  ])('accepts %s', async (_, value) => {
    await place({ [name]: value });
  });
  it.each<[string, unknown]>([
    ['base64', 'a+b/'],
    ['a number', 7],
  ])('refuses %s', (_, value) => expectRefused(place, { [name]: value }, name));
}

describe('WebAuthn L3 §5.1 RegistrationResponseJSON and AuthenticationResponseJSON', () => {
  describe('id: required, the credential id in base64url', () => {
    describeBytes(transformCredential, 'id');
  });

  describe('rawId: required, the credential id in base64url', () => {
    describeBytes(transformCredential, 'rawId');
  });

  describe('type: required, the credential type', () => {
    it('accepts public-key', async () => {
      await transformCredential({ type: 'public-key' });
    });
    it.each<[string, unknown]>([
      ['an absent one', undefined],
      ['null', null],
      ['another type', 'password'],
      ['other letters', 'Public-Key'],
    ])('refuses %s', (_, type) => expectRefused(transformCredential, { type }, 'type'));
  });

  describe('authenticatorAttachment: optional; a value that is not known counts as none', () => {
    it.each<[string, unknown]>([
      ['platform', 'platform'],
      ['cross-platform', 'cross-platform'],
      ['a value that is not known', 'hybrid'],
      ['an empty one', ''],
      ['null', null],
      ['an absent one', undefined],
    ])('accepts %s', async (_, authenticatorAttachment) => {
      await transformCredential({ authenticatorAttachment });
    });
    it('refuses a number', () =>
      expectRefused(transformCredential, { authenticatorAttachment: 7 }, 'authenticatorAttachment'));
    it('is stricter than the clause for the log’s sake: 32 characters at most', () =>
      expectRefused(transformCredential, { authenticatorAttachment: repeatLetter(33) }, 'authenticatorAttachment'));
  });

  describe('clientExtensionResults: required; outputs that no one asked for are ignored', () => {
    it.each<[string, unknown]>([
      ['an absent one', undefined],
      ['null', null],
      ['outputs that are not known', { uvm: [[1, 2, 3]], future: { deep: [null] } }],
    ])('accepts %s', async (_, clientExtensionResults) => {
      await transformCredential({ clientExtensionResults });
    });
    it('accepts secrets of the prf extension, and drops them', async () => {
      const clientExtensionResults = { prf: { results: { first: 'c2VjcmV0' } }, credProps: { rk: true } };
      for (const seen of await transformCredential({ clientExtensionResults })) {
        expect(seen['clientExtensionResults']).toEqual({ credProps: { rk: true } });
      }
    });
    it.each<[string, unknown]>([
      ['a text', '{}'],
      ['a list', []],
    ])('refuses %s', (_, value) =>
      expectRefused(transformCredential, { clientExtensionResults: value }, 'clientExtensionResults'),
    );
  });

  describe('credProps.rk: optional, whether the credential is discoverable (§10.1.3)', () => {
    it.each<[string, unknown]>([
      ['true', { rk: true }],
      ['false', { rk: false }],
      ['an absent one', {}],
      ['a value of another type, which counts as none', { rk: 'yes' }],
      ['credProps that is null', null],
    ])('accepts %s', async (_, credProps) => {
      await transformCredential({ clientExtensionResults: { credProps } });
    });
  });

  describe('members that are not known: the dictionary may grow', () => {
    it('accepts them, and drops them', async () => {
      for (const seen of await transformCredential({ clientCapabilities: { a: 1 } })) {
        expect(seen).not.toHaveProperty('clientCapabilities');
      }
    });
    it('is stricter than the clause for every parser’s sake: names that every object inherits are refused as the body is read', async () => {
      // src/http/strict-json.ts refuses these names before a class sees the body. Here they must not change a
      // prototype.
      for (const seen of await transformCredential({ toString: 'x' }))
        expect(Object.hasOwn(seen, 'toString')).toBe(false);
    });
  });
});

describe('WebAuthn L3 §5.2.1 AuthenticatorAttestationResponseJSON', () => {
  describe('clientDataJSON: required, base64url', () => {
    describeBytes(transformCreation, 'clientDataJSON');
  });

  describe('attestationObject: required, base64url', () => {
    describeBytes(transformCreation, 'attestationObject');
  });

  describe('authenticatorData: required, base64url, a copy of what the attestation object holds', () => {
    describeUnread(transformCreation, 'authenticatorData');
  });

  describe('publicKey: optional, base64url, a copy; absent when the client does not know the algorithm', () => {
    describeUnread(transformCreation, 'publicKey');
  });

  describe('publicKeyAlgorithm: required, a copy', () => {
    it.each<[string, unknown]>([
      ['an absent one', undefined],
      ['null', null],
      ['another one than the attestation object’s, which is not read', -257],
    ])('accepts %s', async (_, publicKeyAlgorithm) => {
      await transformCreation({ publicKeyAlgorithm });
    });
    it('refuses a text', () => expectRefused(transformCreation, { publicKeyAlgorithm: '-7' }, 'publicKeyAlgorithm'));
  });

  describe('transports: required, a list of texts; values that are not known are stored too', () => {
    it.each<[string, unknown]>([
      ['an empty list', []],
      ['an absent one', undefined],
      ['null', null],
      ['values that are not known', ['USB', 'future_transport', 'vendor:x.v2']],
      ['an empty value, which is not kept', ['', 'internal']],
    ])('accepts %s', async (_, transports) => {
      await transformCreation({ transports });
    });
    it.each<[string, unknown]>([
      ['a text', 'usb'],
      ['a number in it', [7]],
      ['null in it', [null]],
    ])('refuses %s', (_, transports) => expectRefused(transformCreation, { transports }, 'transports'));
    it('is stricter than the clause for the database’s sake: 64 values of 256 characters at most, of which 16 of 32 visible ASCII characters are kept', async () => {
      await transformCreation({ transports: Array.from({ length: 64 }, () => repeatLetter(256)) });
      await expectRefused(transformCreation, { transports: Array.from({ length: 65 }, () => 'usb') }, 'transports');
      await expectRefused(transformCreation, { transports: [repeatLetter(257)] }, 'transports');
    });
  });

  describe('members that are not known: the dictionary may grow', () => {
    it('accepts them, and drops them', async () => {
      expect(await transformCreation({ future: { a: [1] } })).not.toHaveProperty('future');
    });
  });
});

describe('WebAuthn L3 §5.2.2 AuthenticatorAssertionResponseJSON', () => {
  describe('clientDataJSON: required, base64url', () => {
    describeBytes(transformAssertion, 'clientDataJSON');
  });

  describe('authenticatorData: required, base64url', () => {
    describeBytes(transformAssertion, 'authenticatorData');
  });

  describe('signature: required, base64url', () => {
    describeBytes(transformAssertion, 'signature');
  });

  describe('userHandle: optional, base64url; absent when the authenticator returns none', () => {
    it.each<[string, unknown]>([
      ['a text in base64url', 'AAAA'],
      ['an absent one', undefined],
      ['null, as absent', null],
      ['an empty one, as absent', ''],
    ])('accepts %s', async (_, userHandle) => {
      await transformAssertion({ userHandle });
    });
    it.each<[string, unknown]>([
      ['base64', 'a+b/'],
      ['padding', 'AA=='],
      ['a number', 7],
    ])('refuses %s', (_, userHandle) => expectRefused(transformAssertion, { userHandle }, 'userHandle'));
  });

  describe('members that are not known: the dictionary may grow', () => {
    it('accepts them, and drops them', async () => {
      expect(await transformAssertion({ attestationObject: 'AAAA' })).not.toHaveProperty('attestationObject');
    });
  });
});
