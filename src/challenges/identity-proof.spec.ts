import { describe, expect, it } from '@jest/globals';
import { demandIdentityProof } from './identity-proof.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');
const POLICY = { required: true, maxAgeSeconds: 900 };

const demandProof = (verifiedAt: string | undefined, policy = POLICY) => {
  const proof = verifiedAt === undefined ? undefined : { method: 'password+otp', verifiedAt };
  return (): void => {
    demandIdentityProof(proof, policy, NOW);
  };
};

const matchProblem = (reason: string, advice: string): unknown =>
  expect.objectContaining({
    slug: 'policy-rejected',
    members: { reason, detail: expect.any(String), advice: expect.stringContaining(advice) },
  });

describe('the identity proof before a passkey is added (PCI DSS 8.3.3)', () => {
  it.each([
    ['now', '2026-06-30T12:00:00.000Z'],
    ['15 minutes ago', '2026-06-30T11:45:00.000Z'],
    ['a minute ahead, by a clock that is wrong', '2026-06-30T12:01:00.000Z'],
    ['now, in another zone', '2026-06-30T14:00:00+02:00'],
    ['now, in lower case', '2026-06-30t12:00:00z'],
    ['now, to the nanosecond', '2026-06-30T12:00:00.000000001Z'],
  ])('is recent enough %s', (_, verifiedAt) => {
    expect(demandProof(verifiedAt)).not.toThrow();
  });

  it.each([
    ['more than 15 minutes ago', '2026-06-30T11:44:59.999Z', 'identity-proof-too-old', 'Identify the user now'],
    ['yesterday', '2026-06-29T12:00:00Z', 'identity-proof-too-old', 'Identify the user now'],
    [
      'an hour ago, which reads like now',
      '2026-06-30T12:00:00+01:00',
      'identity-proof-too-old',
      'Identify the user now',
    ],
    ['more than a minute ahead', '2026-06-30T12:01:00.001Z', 'identity-proof-invalid', 'Set the clock'],
    ['an hour ahead, which reads like now', '2026-06-30T12:00:00-01:00', 'identity-proof-invalid', 'Set the clock'],
    ['never', undefined, 'identity-proof-missing', 'Identify the user now'],
  ])('is not recent enough %s', (_, verifiedAt, reason, advice) => {
    expect(demandProof(verifiedAt)).toThrow(matchProblem(reason, advice));
  });

  it('is as old as the policy allows', () => {
    const verifiedAt = '2026-06-30T11:59:59.000Z';
    expect(demandProof(verifiedAt, { required: true, maxAgeSeconds: 1 })).not.toThrow();
    expect(demandProof('2026-06-30T11:59:58.999Z', { required: true, maxAgeSeconds: 1 })).toThrow(
      'more than 1 seconds ago',
    );
  });

  it.each([undefined, '2020-01-01T00:00:00Z', '2030-01-01T00:00:00Z'])(
    'is not checked when the policy does not ask: %s',
    (verifiedAt) => {
      expect(demandProof(verifiedAt, { required: false, maxAgeSeconds: 1 })).not.toThrow();
    },
  );
});
