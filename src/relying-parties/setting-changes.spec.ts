import { describe, expect, it } from '@jest/globals';
import { completePolicy, DEFAULT_POLICY } from './relying-party-policy.js';
import { type CompleteSettings, HARMLESS, listChanges, WEAKENING } from './setting-changes.js';
import { completeSuccessor } from './successor.js';

const SETTINGS: CompleteSettings = {
  name: 'Example',
  origins: ['https://login.example.com'],
  enabled: true,
  policy: DEFAULT_POLICY,
  successor: null,
};
const MODEL = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const OTHER = '08987058-cadc-4b81-b6e1-30de50dcbe96';

type Policy = Record<string, unknown>;
type Given = Parameters<typeof completeSuccessor>[0];
const [SOON, LATER] = ['2027-01-01T00:00:00.000Z', '2027-07-01T00:00:00.000Z'];
const withPolicy = (policy: Policy): CompleteSettings => ({
  ...SETTINGS,
  policy: completePolicy(policy),
});

/** The pointer, and two values of which the second is weaker. */
const PAIRS: [pointer: string, strong: Policy, weak: Policy][] = [
  ['/policy/userVerification', { userVerification: 'required' }, { userVerification: 'preferred' }],
  ['/policy/userVerification', { userVerification: 'preferred' }, { userVerification: 'discouraged' }],
  [
    '/policy/attestation/conveyance',
    { attestation: { conveyance: 'direct' } },
    { attestation: { conveyance: 'indirect' } },
  ],
  ['/policy/attestation/conveyance', { attestation: { conveyance: 'indirect' } }, {}],
  ['/policy/attestation/trust', { attestation: { trust: 'trusted' } }, {}],
  [
    '/policy/attestation/formats',
    { attestation: { formats: ['packed'] } },
    { attestation: { formats: ['packed', 'none'] } },
  ],
  ['/policy/authenticators/allow', { authenticators: { allow: [MODEL] } }, {}],
  [
    '/policy/authenticators/allow',
    { authenticators: { allow: [MODEL] } },
    { authenticators: { allow: [MODEL, OTHER] } },
  ],
  ['/policy/authenticators/deny', { authenticators: { deny: [MODEL] } }, {}],
  ['/policy/authenticators/deny', { authenticators: { deny: [MODEL, OTHER] } }, { authenticators: { deny: [OTHER] } }],
  ['/policy/authenticators/unknown', { authenticators: { unknown: 'deny' } }, {}],
  ['/policy/algorithms', { algorithms: [-7] }, { algorithms: [-7, -257] }],
  ['/policy/backup', { backup: 'device-bound' }, {}],
  ['/policy/backup', { backup: 'device-bound' }, { backup: 'synced' }],
  ['/policy/challengeTtlSeconds', { challengeTtlSeconds: 60 }, { challengeTtlSeconds: 61 }],
  ['/policy/signCountRegression', {}, { signCountRegression: 'flag' }],
  ['/policy/backupEligibilityChange', {}, { backupEligibilityChange: 'accept-growth' }],
  ['/policy/allowSha1Tpm', {}, { allowSha1Tpm: true }],
  ['/policy/browserKeys/unknown', { browserKeys: { unknown: 'refuse' } }, { browserKeys: { unknown: 'step-up' } }],
  ['/policy/crossOrigin/allow', {}, { crossOrigin: { allow: true } }],
  ['/policy/crossOrigin/topOrigins', { crossOrigin: { topOrigins: ['https://shop.example'] } }, {}],
  [
    '/policy/crossOrigin/topOrigins',
    { crossOrigin: { topOrigins: ['https://shop.example'] } },
    { crossOrigin: { topOrigins: ['https://shop.example', 'https://partner.example'] } },
  ],
  ['/policy/identityProof/required', {}, { identityProof: { required: false } }],
  ['/policy/identityProof/maxAgeSeconds', {}, { identityProof: { maxAgeSeconds: 901 } }],
  ['/policy/userLimits/challengesPerMinute', {}, { userLimits: { challengesPerMinute: 121 } }],
  ['/policy/userLimits/refusalsPerHalfHour', {}, { userLimits: { refusalsPerHalfHour: 101 } }],
  ['/policy/purposes/pay/userVerification', {}, { purposes: { pay: { userVerification: 'preferred' } } }],
  [
    '/policy/purposes/pay/userVerification',
    { userVerification: 'preferred', purposes: { pay: { userVerification: 'required' } } },
    { userVerification: 'preferred' },
  ],
  ['/policy/purposes/pay/challengeTtlSeconds', { purposes: { pay: { challengeTtlSeconds: 60 } } }, {}],
  ['/policy/purposes/pay/challengeTtlSeconds', {}, { purposes: { pay: { challengeTtlSeconds: 301 } } }],
  ['/policy/purposes/pay/backup', { purposes: { pay: { backup: 'synced' } } }, {}],
  ['/policy/purposes/pay/maxAgeSeconds', { purposes: { pay: { maxAgeSeconds: 900 } } }, {}],
  [
    '/policy/purposes/pay/maxAgeSeconds',
    { purposes: { pay: { maxAgeSeconds: 900 } } },
    { purposes: { pay: { maxAgeSeconds: 901 } } },
  ],
  [
    '/policy/purposes/pay/backup',
    { backup: 'device-bound' },
    { backup: 'device-bound', purposes: { pay: { backup: 'any' } } },
  ],
  ['/policy/purposes/pay/attestation', { purposes: { pay: { attestation: 'trusted' } } }, {}],
  [
    '/policy/purposes/pay/attestation',
    { attestation: { trust: 'trusted' }, purposes: { pay: { attestation: 'trusted' } } },
    { attestation: { trust: 'trusted' } },
  ],
  [
    '/policy/purposes/pay/attestation',
    { attestation: { trust: 'trusted' } },
    { attestation: { trust: 'trusted' }, purposes: { pay: { attestation: 'any' } } },
  ],
  [
    '/policy/purposes/pay~1card/backup',
    { purposes: { 'pay/card': { backup: 'device-bound' } } },
    { purposes: { 'pay/card': {} } },
  ],
];

describe('a change of settings', () => {
  it.each(PAIRS)('of %s from %j to %j weakens the verification, and the way back does not', (pointer, strong, weak) => {
    const pick = (changes: ReturnType<typeof listChanges>) => changes.map(({ pointer: at, weakens }) => [at, weakens]);
    expect(pick(listChanges(withPolicy(strong), withPolicy(weak)))).toEqual([[pointer, true]]);
    expect(pick(listChanges(withPolicy(weak), withPolicy(strong)))).toEqual([[pointer, false]]);
  });

  it('to another set of synced passkeys weakens the verification, to fewer does not', () => {
    expect(listChanges(withPolicy({ backup: 'synced' }), withPolicy({}))).toMatchObject([{ weakens: true }]);
    expect(listChanges(withPolicy({}), withPolicy({ backup: 'synced' }))).toMatchObject([{ weakens: false }]);
  });

  it('to a list of allowed models weakens the verification where unknown models are denied, because it lets them in', () => {
    const [strict, listed] = [{ unknown: 'deny' }, { unknown: 'deny', allow: [MODEL] }];
    expect(listChanges(withPolicy({ authenticators: strict }), withPolicy({ authenticators: listed }))).toMatchObject([
      { pointer: '/policy/authenticators/allow', weakens: true },
    ]);
  });

  it('of a purpose is judged by what the policy demands where the purpose says nothing', () => {
    const weakens = (before: Policy, after: Policy) =>
      listChanges(withPolicy(before), withPolicy(after)).map((change) => [change.pointer, change.weakens]);
    const [lax, strict] = [{ userVerification: 'preferred' }, { userVerification: 'required' }];
    const pointer = '/policy/purposes/pay/userVerification';
    expect(weakens(strict, { ...strict, purposes: { pay: strict } })).toEqual([[pointer, false]]);
    expect(weakens({ ...lax, purposes: { pay: strict } }, strict)).toEqual([
      [pointer, false],
      ['/policy/userVerification', false],
    ]);
    expect(weakens(strict, { ...lax, purposes: { pay: strict } })).toEqual([
      [pointer, false],
      ['/policy/userVerification', true],
    ]);
    expect(weakens({}, { purposes: { pay: {} } })).toEqual([]);
  });

  it('that switches the relying party on weakens the verification, and off does not', () => {
    const off = { ...SETTINGS, enabled: false };
    expect(listChanges(off, SETTINGS)).toMatchObject([{ pointer: '/enabled', weakens: true }]);
    expect(listChanges(SETTINGS, off)).toMatchObject([{ pointer: '/enabled', weakens: false }]);
  });

  it('of the origins weakens the verification if it adds one', () => {
    const [one, two] = ['https://login.example.com', 'https://shop.example.com'];
    const weakens = (before: string[], after: string[]) =>
      listChanges({ ...SETTINGS, origins: before }, { ...SETTINGS, origins: after }).map((change) => change.weakens);
    expect(weakens([one], [one, two])).toEqual([true]);
    expect(weakens([one], [two])).toEqual([true]);
    expect(weakens([one, two], [one])).toEqual([false]);
    expect(weakens([one, two], [two, one])).toEqual([false]);
  });

  it.each<[string, Given, Given, string[]]>([
    ['that names a successor', null, { rpId: 'b.example' }, ['/successor/rpId']],
    ['that takes the successor away', { rpId: 'b.example' }, null, ['/successor/rpId']],
    ['of the successor', { rpId: 'b.example' }, { rpId: 'c.example' }, ['/successor/rpId']],
    ['that sets an end', { rpId: 'b.example' }, { rpId: 'b.example', endsAt: SOON }, ['/successor/endsAt']],
    [
      'to an earlier end',
      { rpId: 'b.example', endsAt: LATER },
      { rpId: 'b.example', endsAt: SOON },
      ['/successor/endsAt'],
    ],
    [
      'to a later end',
      { rpId: 'b.example', endsAt: SOON },
      { rpId: 'b.example', endsAt: LATER },
      ['/successor/endsAt'],
    ],
    [
      'that registers passkeys again',
      { rpId: 'b.example', registrations: 'refuse' },
      { rpId: 'b.example' },
      ['/successor/registrations'],
    ],
    ['that registers no passkeys any more', { rpId: 'b.example' }, { rpId: 'b.example', registrations: 'refuse' }, []],
  ])(
    '%s counts as one that weakens the verification exactly where it lets more in or shuts users out',
    (_, before, after, pointers) => {
      const changes = listChanges(
        { ...SETTINGS, successor: completeSuccessor(before) },
        { ...SETTINGS, successor: completeSuccessor(after) },
      );
      expect(changes.filter(({ weakens }) => weakens).map(({ pointer }) => pointer)).toEqual(pointers);
    },
  );

  it('shows the values before and after, and null for a member that is absent', () => {
    expect(listChanges(SETTINGS, withPolicy({ authenticators: { deny: [MODEL] } }))).toEqual([
      { pointer: '/policy/authenticators/deny', before: null, after: [MODEL], weakens: false },
    ]);
    expect(listChanges(SETTINGS, { ...SETTINGS, name: 'Other' })).toEqual([
      { pointer: '/name', before: 'Example', after: 'Other', weakens: false },
    ]);
    expect(listChanges(SETTINGS, withPolicy({}))).toEqual([]);
  });

  it('is judged for every member of the settings, so that a new member needs a decision', () => {
    const nested = (value: unknown): value is object =>
      typeof value === 'object' && value !== null && !Array.isArray(value);
    // What a purpose has is judged by a rule for each of its members.
    const { purposes: _, ...rules } = DEFAULT_POLICY;
    const policy = Object.entries(rules).flatMap(([member, value]: [string, unknown]) =>
      nested(value) ? Object.keys(value).map((key) => `/policy/${member}/${key}`) : [`/policy/${member}`],
    );
    const successor = Object.keys(completeSuccessor({ rpId: 'b.example' })!).map((member) => `/successor/${member}`);
    const members = ['/name', '/origins', '/enabled', ...successor, ...policy];
    const optional = ['/policy/authenticators/allow', '/policy/authenticators/deny'];
    expect([...WEAKENING, ...HARMLESS].sort()).toEqual([...members, ...optional].sort());
  });
});
