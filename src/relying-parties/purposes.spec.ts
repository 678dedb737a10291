import { describe, expect, it } from '@jest/globals';
import { applyPurpose, isAdmitted } from './purposes.js';
import { completePolicy, DEFAULT_POLICY } from './relying-party-policy.js';

const ADMITS_ALL = { backup: 'any', attestation: 'any' };
const NO_AGE = { maxAgeSeconds: Infinity };

describe('a purpose', () => {
  const policy = completePolicy({
    challengeTtlSeconds: 200,
    backup: 'synced',
    purposes: {
      pay: { backup: 'device-bound', attestation: 'trusted', maxAgeSeconds: 900 },
      look: { userVerification: 'discouraged' },
    },
  });

  it('replaces what it names, and leaves the rest to the policy', () => {
    expect(applyPurpose(policy, 'pay')).toEqual({
      ...policy,
      backup: 'device-bound',
      attestation: { ...policy.attestation, trust: 'trusted' },
      admission: { backup: 'device-bound', attestation: 'trusted' },
      maxAgeSeconds: 900,
      keepsSignIns: true,
      alone: policy,
    });
    expect(applyPurpose(policy, 'look')).toEqual({
      ...policy,
      userVerification: 'discouraged',
      admission: ADMITS_ALL,
      ...NO_AGE,
      keepsSignIns: true,
      alone: policy,
    });
  });

  it('without an age lets no sign-in be kept', () => {
    expect(applyPurpose(completePolicy({ purposes: { look: { backup: 'any' } } }), 'look').keepsSignIns).toBe(false);
  });

  it.each([undefined, 'sign-in', 'constructor', 'toString', '__proto__', 'Pay', ''])(
    'that the policy does not list leaves the policy alone: %s',
    (purpose) => {
      const applied = applyPurpose(policy, purpose);
      expect(applied).toEqual({ ...policy, admission: ADMITS_ALL, ...NO_AGE, keepsSignIns: true, alone: policy });
      expect(applyPurpose(policy, 'another')).toBe(applied);
    },
  );

  it.each([
    ['any', 'any', [true, true, true, true]],
    ['device-bound', 'any', [false, true, true, true]],
    ['synced', 'any', [true, false, false, true]],
    ['any', 'trusted', [false, false, true, false]],
    ['device-bound', 'trusted', [false, false, true, false]],
    ['synced', 'trusted', [false, false, false, false]],
  ] as const)('of backup %s and attestation %s admits those passkeys', (backup, attestation, admitted) => {
    const passkeys = [
      { backupEligible: true, trusted: false },
      { backupEligible: false, trusted: false },
      { backupEligible: false, trusted: true },
      // An import did not know. What its next authentication tells is judged then.
      { backupEligible: null, trusted: false },
    ];
    expect(passkeys.map((passkey) => isAdmitted({ backup, attestation }, passkey))).toEqual(admitted);
  });
});

describe('a stored policy', () => {
  it('of a version without purposes has none', () => {
    const { purposes: _, ...former } = DEFAULT_POLICY;
    expect(completePolicy(former).purposes).toEqual({});
  });
});
