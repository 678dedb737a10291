import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { completePolicy, DEFAULT_POLICY } from '../../src/relying-parties/relying-party-policy.js';
import { listChanges } from '../../src/relying-parties/setting-changes.js';
import { completeSuccessor } from '../../src/relying-parties/successor.js';
import { type CompleteSettings, listDifferences } from './setting-differences.js';

const MODELS = ['ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4', '08987058-cadc-4b81-b6e1-30de50dcbe96'];
const ORIGINS = ['https://a.example', 'https://b.example'];
const from = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const listOf = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.shuffledSubarray(values);
const members = (model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(model, { requiredKeys: [] });

const requirement = from('required', 'preferred', 'discouraged');
const backup = from('any', 'device-bound', 'synced');
const trust = from('any', 'trusted');
const seconds = from(60, 300, 900);

const policy = members({
  userVerification: requirement,
  residentKey: requirement,
  attestation: members({
    conveyance: from('none', 'indirect', 'direct', 'enterprise'),
    trust,
    formats: listOf('none', 'packed', 'tpm'),
  }),
  authenticators: members({ allow: listOf(...MODELS), deny: listOf(...MODELS), unknown: from('allow', 'deny') }),
  algorithms: listOf(-7, -8, -257),
  backup,
  maxCredentialsPerUser: from(5, 20),
  challengeTtlSeconds: seconds,
  signCountRegression: from('reject', 'flag'),
  backupEligibilityChange: from('reject', 'accept-growth'),
  allowSha1Tpm: fc.boolean(),
  browserKeys: members({ unknown: from('accept', 'step-up', 'refuse') }),
  crossOrigin: members({ allow: fc.boolean(), topOrigins: listOf(...ORIGINS) }),
  identityProof: members({ required: fc.boolean(), maxAgeSeconds: seconds }),
  userLimits: members({ challengesPerMinute: from(10, 120), refusalsPerHalfHour: from(5, 100) }),
  purposes: fc.dictionary(
    from('pay', 'step-up', 'a/b~c', 'constructor'),
    members({
      userVerification: requirement,
      challengeTtlSeconds: seconds,
      backup,
      attestation: trust,
      maxAgeSeconds: seconds,
    }),
    { maxKeys: 3, noNullPrototype: true },
  ),
});

const settings = fc
  .record({
    name: from('Example', 'Other'),
    origins: listOf(...ORIGINS),
    enabled: fc.boolean(),
    policy,
    successor: rarely(
      fc.record({
        rpId: from('b.example', 'c.example'),
        endsAt: from(null, '2027-01-01T00:00:00.000Z', '2028-01-01T00:00:00.000Z'),
        registrations: from('accept' as const, 'refuse' as const),
      }),
    ),
  })
  .map(({ policy, successor, ...own }) => ({
    ...own,
    policy: completePolicy(policy),
    successor: completeSuccessor(successor),
  })) as unknown as fc.Arbitrary<CompleteSettings>;

describe('the differences of settings', () => {
  it('are those that the service records, and weaken where it says so', () => {
    let weakening = 0;
    fc.assert(
      fc.property(settings, settings, (before, after) => {
        const differences = listDifferences(before, after);
        weakening += differences.filter(({ weakens }) => weakens).length;
        expect(differences).toEqual(listChanges(before, after));
      }),
      { numRuns: 500 },
    );
    expect(weakening).toBeGreaterThan(500);
  });

  it('are none between equal settings', () => {
    const same = { name: 'Example', origins: ORIGINS, enabled: true, policy: DEFAULT_POLICY, successor: null };
    expect(listDifferences(same as never, structuredClone(same) as never)).toEqual([]);
  });
});
