import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { createValidationPipe } from '../../http/validation.js';
import { Problem } from '../../http/problem.js';
import { PutRelyingPartyDto } from '../../relying-parties/dto/put-relying-party.dto.js';
import { IssueAuthenticationChallengeDto, IssueRegistrationChallengeDto } from './issue-challenge.dto.js';

/*
 * The members of the options that come from a caller, grouped by the request that holds them. `npm run conformance`
 * makes docs/webauthn-conformance.md from the titles: a `describe` names a member and quotes its clause.
 */

type Members = Record<string, unknown>;
type Place = (value: unknown) => Promise<unknown>;

const validate = (metatype: new () => object, body: object): Promise<unknown> =>
  createValidationPipe().transform(body, { type: 'body', metatype }) as Promise<unknown>;

const validateRegistration = (members: Members) => {
  const user = { id: 'u', name: 'ada@example.com', displayName: 'Ada' };
  return validate(IssueRegistrationChallengeDto, { rpId: 'login.example.com', user, ...members });
};
const placeInUser = (member: string): Place => {
  const user = { id: 'u', name: 'ada@example.com', displayName: 'Ada' };
  return (value) => validateRegistration({ user: { ...user, [member]: value } });
};
const placeInRegistration =
  (member: string): Place =>
  (value) =>
    validateRegistration({ [member]: value });
const placeInBoth =
  (member: string): Place =>
  (value) =>
    Promise.all([
      validateRegistration({ [member]: value }),
      validate(IssueAuthenticationChallengeDto, { rpId: 'login.example.com', [member]: value }),
    ]);
const validateSettings = (members: Members) =>
  validate(PutRelyingPartyDto, { name: 'Example', origins: ['https://login.example.com'], ...members });
const placeInPolicy =
  (member: string): Place =>
  (value) =>
    validateSettings({ policy: { [member]: value } });
const placeInAttestation =
  (member: string): Place =>
  (value) =>
    validateSettings({ policy: { attestation: { [member]: value } } });

async function expectRefused(asked: Promise<unknown>): Promise<void> {
  const problem: unknown = await asked.catch((error: unknown) => error);
  expect(problem).toBeInstanceOf(Problem);
  expect((problem as Problem).slug).toBe('request-malformed');
}

type Values = [string, unknown][];

function describeMember(place: Place, accepts: Values, refuses: Values): void {
  it.each(accepts)('accepts %s', async (_, value) => {
    await place(value);
  });
  it.each(refuses)('refuses %s', (_, value) => expectRefused(place(value)));
}

const TEXTS: Values = [
  ['256 characters', '😀'.repeat(256)],
  ['any script, and marks of direction', '\u2067أحمد'],
];
const NO_TEXTS: Values = [
  ['null', null],
  ['an absent one', undefined],
  ['a control character', 'a\u0000b'],
  ['half of a character', '\ud800'],
];
const REQUIREMENTS: Values = ['required', 'preferred', 'discouraged'].map((value) => [value, value]);
const NO_VALUES: Values = [
  ['null', null],
  ['a value that is not known', 'future'],
];
const STRICT =
  'is stricter than the clause for the caller’s sake: a value that is not known is a mistake, and clients ignore it in silence';

describe('WebAuthn L3 §5.4 and §5.5 options, where they come from a caller', () => {
  describe('user.name (§5.4.1): required', () => {
    describeMember(placeInUser('name'), TEXTS, [...NO_TEXTS, ['an empty one', '']]);
    it('is stricter than the clause for the user’s sake: an account without a name cannot be chosen', () =>
      expectRefused(placeInUser('name')('')));
    it('is stricter than the clause for the authenticator’s sake: 256 characters at most', () =>
      expectRefused(placeInUser('name')('a'.repeat(257))));
  });

  describe('user.displayName (§5.4.3): required, empty where no name suits', () => {
    describeMember(placeInUser('displayName'), [...TEXTS, ['an empty one', '']], NO_TEXTS);
    it('is stricter than the clause for the authenticator’s sake: 256 characters at most', () =>
      expectRefused(placeInUser('displayName')('a'.repeat(257))));
  });

  describe('hints (§5.4, §5.5): optional, the preferred one first; clients ignore those that they do not know', () => {
    const place = placeInBoth('hints');
    const all = ['security-key', 'client-device', 'hybrid'];
    describeMember(
      place,
      [
        ['each of the three', all],
        ['another order', all.toReversed()],
        ['an empty list', []],
        ['an absent one', undefined],
      ],
      [
        ['null', null],
        ['one twice', ['hybrid', 'hybrid']],
        ['a text', 'hybrid'],
      ],
    );
    it(STRICT, () => expectRefused(place(['future'])));
  });

  describe('authenticatorSelection.authenticatorAttachment (§5.4.5): optional', () => {
    const place = placeInRegistration('authenticatorAttachment');
    describeMember(
      place,
      [
        ['platform', 'platform'],
        ['cross-platform', 'cross-platform'],
        ['an absent one', undefined],
      ],
      [
        ['null', null],
        ['an empty one', ''],
      ],
    );
    it(STRICT, () => expectRefused(place('future')));
  });

  describe('mediation (§5.1.3): conditional creates without asking the user', () => {
    const place = placeInRegistration('mediation');
    describeMember(
      place,
      [
        ['conditional', 'conditional'],
        ['an absent one', undefined],
      ],
      [['null', null]],
    );
    it('is stricter than the clause for the caller’s sake: the others change nothing that the service does', () =>
      expectRefused(place('optional')));
  });

  describe('extensions.payment (§9.1, SPC §5): optional, a passkey that confirms payments', () => {
    describeMember(
      placeInRegistration('payment'),
      [
        ['true', true],
        ['false', false],
        ['an absent one', undefined],
      ],
      [
        ['null', null],
        ['a text', 'true'],
      ],
    );
    it.each<[string, Members]>([
      ['the attachment platform', { authenticatorAttachment: 'platform' }],
      ['hints', { hints: ['client-device'] }],
    ])('accepts %s beside it', (_, members) => validateRegistration({ payment: true, ...members }));
    it.each<[string, string, Members]>([
      ['the attachment cross-platform', '/authenticatorAttachment', { authenticatorAttachment: 'cross-platform' }],
      ['a conditional create', '/mediation', { mediation: 'conditional' }],
    ])('refuses %s beside it, because a browser throws', async (_, pointer, members) => {
      const problem: unknown = await validateRegistration({ payment: true, ...members }).catch((e: unknown) => e);
      expect(problem).toMatchObject({ slug: 'request-malformed', members: { invalid: [{ pointer }] } });
      await validateRegistration({ payment: false, ...members });
    });
  });

  describe.each([
    [
      'userVerification (§5.4.4, §5.5): optional; clients take a value that they do not know as preferred',
      'userVerification',
    ],
    [
      'authenticatorSelection.residentKey (§5.4.4): optional; clients take a value that they do not know as absent',
      'residentKey',
    ],
  ])('%s', (_, member) => {
    describeMember(placeInPolicy(member), [...REQUIREMENTS, ['an absent one', undefined]], NO_VALUES);
    it(STRICT, () => expectRefused(placeInPolicy(member)('future')));
  });

  describe('attestation (§5.4.7): optional; clients take a value that they do not know as none', () => {
    const values: Values = ['none', 'indirect', 'direct', 'enterprise'].map((value) => [value, value]);
    describeMember(placeInAttestation('conveyance'), [...values, ['an absent one', undefined]], NO_VALUES);
    it(STRICT, () => expectRefused(placeInAttestation('conveyance')('future')));
  });

  describe('pubKeyCredParams (§5.3): required, the preferred one first; clients ignore those that they do not know', () => {
    const place = placeInPolicy('algorithms');
    describeMember(
      place,
      [
        ['every algorithm that the service verifies', [-48, -8, -7, -257, -35, -36, -37, -49, -50]],
        ['a single one', [-7]],
        ['an absent list, which offers four', undefined],
      ],
      [
        ['null', null],
        ['an empty list, which stands for ES256 and RS256', []],
        ['one twice', [-7, -7]],
        ['a name', ['ES256']],
      ],
    );
    it('is stricter than the clause for the user’s sake: a key that cannot be verified later is of no use', () =>
      expectRefused(place([-7, -47])));
  });

  describe('timeout (§5.4, §5.5): optional, in milliseconds; clients bound it', () => {
    const place = placeInPolicy('challengeTtlSeconds');
    describeMember(
      place,
      [
        ['one second', 1],
        ['an hour', 3_600],
        ['an absent one, which is 300 seconds', undefined],
      ],
      [
        ['none', 0],
        ['a fraction', 1.5],
        ['null', null],
      ],
    );
    it('is stricter than the clause for the user’s sake: an hour at most, because the challenge lives as long', () =>
      expectRefused(place(3_601)));
  });
});
