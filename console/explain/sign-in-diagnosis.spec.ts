import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AuthenticatorsService } from '../../src/authenticators/authenticators.service.js';
import { demandAllowedModel, demandAttestation, demandBackup } from '../../src/credentials/authenticator-policy.js';
import { applyPurpose } from '../../src/relying-parties/purposes.js';
import { completePolicy, type RelyingPartyPolicy } from '../../src/relying-parties/relying-party-policy.js';
import { Refusal } from '../../src/webauthn/refusal.js';
import { judgePasskey, type Passkey } from './judge-passkey.js';
import { diagnose, type Evidence, readRefusals } from './sign-in-diagnosis.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const KNOWN = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const STRANGER = '33333333-2222-4333-8444-555555555555';

const PASSKEY: Passkey = {
  id: '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2',
  credentialId: '9YJ5cM1lqVb2rX7oQn3eKg',
  rpId: 'login.example.com',
  userId: 'u-123',
  name: 'Laptop',
  status: 'active',
  aaguid: KNOWN,
  authenticator: { name: 'Google Password Manager' },
  algorithm: -7,
  attachment: 'platform',
  transports: ['internal'],
  discoverable: true,
  backupEligible: true,
  backedUp: true,
  userVerified: true,
  attestation: { format: 'none', trust: 'none' },
  signCount: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
  createdBy: 'spiffe://bank.example/auth',
  lastUsedAt: null,
  statusChangedAt: '2026-01-01T00:00:00.000Z',
  statusReason: null,
};

const PARTY = { rpId: 'login.example.com', enabled: true, successor: null } as const;
type Policy = NonNullable<Evidence['party']>['policy'];

const policyOf = (policy: object): Policy => completePolicy(policy) as unknown as Policy;
const evidence = (passkeys: Partial<Passkey>[], policy: object = {}, rest: Partial<Evidence> = {}): Evidence => ({
  now: NOW,
  passkeys: passkeys.map((members) => ({ ...PASSKEY, ...members })),
  party: { ...PARTY, policy: policyOf(policy) },
  refusals: [],
  ...rest,
});
const reasonsOf = (given: Evidence): string[] =>
  diagnose(given).judgements.flatMap(({ obstacles }) => obstacles.map(({ reason }) => reason));

describe('the judgement of a passkey', () => {
  it.each<[string, Partial<Passkey>, object, string[]]>([
    ['accepts one that nothing stands in the way of', {}, {}, []],
    ['names a suspension', { status: 'suspended', statusReason: 'lost' }, {}, ['credential-suspended']],
    ['names a revocation', { status: 'revoked' }, {}, ['credential-revoked']],
    [
      'names a synced passkey where device-bound ones are demanded',
      {},
      { backup: 'device-bound' },
      ['backup-state-denied'],
    ],
    [
      'names a device-bound one where synced ones are',
      { backupEligible: false },
      { backup: 'synced' },
      ['backup-state-denied'],
    ],
    ['names a denied model', {}, { authenticators: { deny: [KNOWN] } }, ['authenticator-denied']],
    ['names a model that is not on the list', {}, { authenticators: { allow: [STRANGER] } }, ['authenticator-denied']],
    [
      'names an unknown model',
      { aaguid: STRANGER, authenticator: null },
      { authenticators: { unknown: 'deny' } },
      ['authenticator-denied'],
    ],
    ['names a missing user verification', { userVerified: false }, {}, ['user-verification-missing']],
    ['names what a purpose demands', {}, { purposes: { pay: { attestation: 'trusted' } } }, ['attestation-untrusted']],
  ])('%s', (_, members, policy, reasons) => {
    expect(reasonsOf(evidence([members], policy))).toEqual(reasons);
  });

  it('is not certain where the next use decides', () => {
    const { judgements } = diagnose(evidence([{ backupEligible: null }], { backup: 'synced' }));
    expect(judgements[0]).toMatchObject({ verdict: 'limited', obstacles: [{ isCertain: false }] });
  });

  it('names the purpose, and no obstacle of it that the policy has, too', () => {
    const policy = { backup: 'device-bound', purposes: { pay: { backup: 'device-bound', attestation: 'trusted' } } };
    const { judgements } = diagnose(evidence([{}], policy));
    expect(judgements[0]!.obstacles.map(({ reason, purpose }) => [reason, purpose])).toEqual([
      ['backup-state-denied', undefined],
      ['attestation-untrusted', 'pay'],
    ]);
  });

  it('takes from a dry run what FIDO metadata says of the model', () => {
    const verdicts = [{ aaguid: KNOWN, name: null, credentials: 1, reason: 'authenticator-compromised' as const }];
    expect(reasonsOf(evidence([{}], {}, { verdicts }))).toEqual(['authenticator-compromised']);
    expect(reasonsOf(evidence([{ aaguid: STRANGER }], {}, { verdicts }))).toEqual([]);
  });

  it('refuses what the service refuses at a sign-in, and accepts what it accepts', () => {
    const models = new AuthenticatorsService({ findModel: () => undefined });
    const backup = fc.constantFrom('any', 'device-bound', 'synced');
    const list = fc.option(fc.shuffledSubarray([KNOWN, STRANGER]), { nil: undefined });
    const policies = fc.record({
      backup,
      authenticators: fc.record({ allow: list, deny: list, unknown: fc.constantFrom('allow', 'deny') }),
      purposes: fc.record({
        pay: fc.record({ backup, attestation: fc.constantFrom('any', 'trusted') }, { requiredKeys: [] }),
      }),
    });
    const passkeys = fc.record({
      model: fc.constantFrom([KNOWN, { name: 'Known' }] as const, [STRANGER, null] as const),
      backupEligible: fc.boolean(),
      trust: fc.constantFrom('none' as const, 'trusted' as const),
    });
    let refused = 0;
    fc.assert(
      fc.property(
        policies,
        passkeys,
        fc.constantFrom(undefined, 'pay'),
        (given, { model, backupEligible, trust }, purpose) => {
          const policy = completePolicy(given as unknown as Partial<RelyingPartyPolicy>);
          const applied = applyPurpose(policy, purpose);
          const [aaguid, authenticator] = model;
          const attestation = { format: 'packed' as const, trust };
          const passkey = { ...PASSKEY, aaguid, authenticator, backupEligible, attestation };
          const allowed = ((): boolean => {
            try {
              demandAllowedModel(applied.authenticators, aaguid, models, NOW);
              demandBackup(applied.backup, backupEligible);
              demandAttestation(applied.admission, { attestationTrust: trust });
              return true;
            } catch (error) {
              if (error instanceof Refusal) return false;
              throw error;
            }
          })();
          const purposeAlone = { ...policy, purposes: purpose ? policy.purposes : {} };
          // A purpose may demand less than the policy, so only its own obstacles and those that are not of a kind count.
          const obstacles = judgePasskey(passkey, purposeAlone as unknown as Policy).filter(
            (each) =>
              !purpose ||
              each.purpose === purpose ||
              each.reason !== 'backup-state-denied' ||
              applied.backup === policy.backup,
          );
          refused += allowed ? 0 : 1;
          expect(obstacles.length === 0).toBe(allowed);
        },
      ),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});

describe('the diagnosis', () => {
  const answerOf = (given: Evidence): string => diagnose(given).answer;

  it.each<[string, Evidence, RegExp]>([
    [
      'a relying party that is switched off',
      evidence([{}], {}, { party: { ...PARTY, enabled: false, policy: policyOf({}) } }),
      /is switched off/,
    ],
    [
      'a relying party that has ended',
      evidence(
        [{}],
        {},
        {
          party: {
            ...PARTY,
            policy: policyOf({}),
            successor: { rpId: 'b.example', endsAt: NOW.toISOString(), registrations: 'refuse' },
          },
        },
      ),
      /has ended.*passkey at b\.example/,
    ],
    ['a user without passkeys', evidence([]), /no passkey here/],
    ['the only passkey', evidence([{ status: 'suspended', statusReason: 'lost' }]), /only passkey is refused.*“lost”/],
    ['all passkeys', evidence([{}, { name: 'Other' }], { backup: 'device-bound' }), /Each of the 2 passkeys/],
    ['some passkeys', evidence([{}, { status: 'revoked' }]), /Nothing.*refuses 1 of 2 passkeys/],
    ['no passkey', evidence([{}]), /Nothing that the service knows refuses the passkey/],
  ])('names %s first', (_, given, answer) => {
    expect(answerOf(given)).toMatch(answer);
  });

  const refusal = (reason: string, minutesAgo: number, rpId = 'login.example.com'): Record<string, unknown> => ({
    class_uid: 3002,
    time: NOW.getTime() - minutesAgo * 60_000,
    status_code: reason,
    status_detail: 'why',
    metadata: {
      uid: `0195511f-03b2-7c11-8d0e-${String(minutesAgo).padStart(12, '0')}`,
      event_code: 'credential.verify',
    },
    unmapped: { rp_id: rpId, webauthn_step: '§7.2 step 12', credential: { uid: PASSKEY.id } },
  });

  it('explains the last refusal of the audit log, at this relying party alone', () => {
    const events = [refusal('signature-invalid', 1, 'other.example'), refusal('origin-mismatch', 2)] as never[];
    const refusals = readRefusals(events, 'login.example.com');
    expect(refusals).toMatchObject([{ reason: 'origin-mismatch', clause: '§7.2 step 12', passkey: PASSKEY.id }]);
    const { findings } = diagnose(evidence([{}], {}, { refusals }));
    expect(findings).toEqual([
      expect.objectContaining({
        title: 'Last refused with origin-mismatch',
        text: expect.stringContaining('phishing'),
      }),
    ]);
  });

  it('says when the user has to wait, and for half an hour only', () => {
    const wait = (minutes: number): string =>
      answerOf(
        evidence(
          [{}],
          {},
          { refusals: readRefusals([refusal('too-many-refusals', minutes)] as never[], 'login.example.com') },
        ),
      );
    expect(wait(29)).toMatch(/over a limit/);
    expect(wait(31)).toMatch(/Nothing that the service knows/);
  });

  it('says what it cannot see, and which permission would show it', () => {
    const { findings } = diagnose({ now: NOW, passkeys: [PASSKEY] });
    expect(findings.map(({ text }) => /the permission ([a-z:-]+)/i.exec(text)?.[1])).toEqual([
      'relying-parties:read',
      'audit:read',
    ]);
  });

  it('says first that it is partial where the policy was not seen, and calls what was not seen no reason', () => {
    const { answer, findings } = diagnose({ now: NOW, passkeys: [PASSKEY] });
    expect(answer).toMatch(/^This answer is partial: your permissions do not show the policy/);
    expect(findings.map(({ weight }) => weight)).toEqual(['unseen', 'unseen']);
    expect(diagnose(evidence([{}])).answer).not.toMatch(/partial/);
  });

  it('says what to do about a refused passkey, since when, and who may', () => {
    const since = '2026-02-01T00:00:00.000Z';
    expect(answerOf(evidence([{ status: 'suspended', statusChangedAt: since }]))).toMatch(
      /since 2026-02-01T00:00:00\.000Z\..*reinstate it: that needs passkeys:manage/,
    );
    expect(answerOf(evidence([{ status: 'revoked' }]))).toMatch(/The user needs another passkey/);
    expect(answerOf(evidence([{}], { backup: 'device-bound' }))).toMatch(/needs relying-parties:write/);
  });

  it('leaves out events that are no ceremonies, or have no reason', () => {
    const events = [
      { ...refusal('x', 1), metadata: { uid: '1', event_code: 'access.denied' } },
      { ...refusal('x', 1), status_code: undefined },
    ];
    expect(readRefusals(events as never[], 'login.example.com')).toEqual([]);
  });
});
