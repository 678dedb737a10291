import { describe, it } from '@jest/globals';
import type { AssertionInterference } from '../../test/support/authenticator/interference.js';
import { runAuthentication, expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';
import type { Reason } from './refusal.js';

/*
 * The client data, member by member, in both ceremonies. docs/webauthn-conformance.md is generated from the titles:
 * each `describe` names a member and the clause's requirement.
 */

type Change = Pick<AssertionInterference, 'clientData' | 'clientDataJson'>;

const TOP = 'https://shop.example';
const FRAMED = { crossOrigin: { allow: true, topOrigins: [TOP] } };

async function accepted(interference: Change, expected = {}): Promise<void> {
  await Promise.all([runRegistration({ interference, expected }), runAuthentication({ interference, expected })]);
}

async function refused(reason: Reason, interference: Change, expected = {}): Promise<void> {
  await expectRefusal(runRegistration({ interference, expected }), reason);
  await expectRefusal(runAuthentication({ interference, expected }), reason);
}

const members = (clientData: Record<string, unknown>): Change => ({ clientData });

describe('WebAuthn L3 §5.8.1 CollectedClientData', () => {
  describe.each<[string, Reason]>([
    ['type: required, webauthn.create or webauthn.get', 'type-mismatch'],
    ['challenge: required, base64url', 'challenge-mismatch'],
    ['origin: required, the origin of the page, or of the app', 'origin-mismatch'],
  ])('%s', (title, reason) => {
    const member = title.split(':')[0]!;
    it('accepts the expected one', () => accepted({}));
    it('accepts it with escaped characters', () =>
      accepted({ clientDataJson: (json) => json.replaceAll('w', '\\u0077').replaceAll('/', '\\/') }));
    it.each<[string, unknown]>([
      ['another one', 'x'],
      ['an empty one', ''],
      ['null', null],
      ['an absent one', undefined],
      ['a list', ['x']],
    ])('refuses %s', (_, value) => refused(reason, members({ [member]: value })));
  });

  describe('crossOrigin: optional, whether the ceremony ran in a frame of another origin', () => {
    it.each<[string, unknown]>([
      ['false', false],
      ['an absent one', undefined],
      ['null, as absent', null],
    ])('accepts %s', (_, crossOrigin) => accepted(members({ crossOrigin })));
    it('accepts true where the policy allows frames', () =>
      accepted(members({ crossOrigin: true, topOrigin: TOP }), FRAMED));
    it('refuses true where it does not', () => refused('cross-origin-denied', members({ crossOrigin: true })));
    it.each<[string, unknown]>([
      ['a text', 'false'],
      ['a number', 0],
      ['a list', [false]],
    ])('refuses %s', (_, crossOrigin) => refused('malformed', members({ crossOrigin }), FRAMED));
  });

  describe('topOrigin: optional, the origin of the page around the frame; set only where crossOrigin is true', () => {
    it.each<[string, unknown]>([
      ['an absent one', undefined],
      ['null, as absent', null],
    ])('accepts %s', (_, topOrigin) => accepted(members({ topOrigin })));
    it.each<[string, unknown]>([
      ['another one than the policy lists', 'https://evil.example'],
      ['an absent one where the policy lists some', undefined],
      ['null where the policy lists some', null],
    ])('refuses %s', (_, topOrigin) =>
      refused('cross-origin-denied', members({ crossOrigin: true, topOrigin }), FRAMED),
    );
    it('refuses one without a frame of another origin', () =>
      refused('cross-origin-denied', members({ topOrigin: TOP }), FRAMED));
    it('refuses a list', () => refused('malformed', members({ crossOrigin: true, topOrigin: [TOP] }), FRAMED));
  });

  describe('unknown members: the dictionary may grow', () => {
    it('accepts them with any content, and does not read them', () =>
      accepted(members({ other_keys_can_be_added_here: 'do not compare', deep: [[{ of: [null, 1e300] }]] })));
    it('accepts tokenBinding, clientExtensions and hashAlgorithm of Level 1', () =>
      accepted(members({ tokenBinding: { status: 'supported' }, clientExtensions: {}, hashAlgorithm: 'SHA-256' })));
    it('accepts androidPackageName', () => accepted(members({ androidPackageName: 'com.android.chrome' })));
    it('is stricter than the clause for every parser’s sake: no member occurs twice', () =>
      refused('malformed', { clientDataJson: (json) => json.replace('{', '{"a":1,"a":1,') }));
  });
});
