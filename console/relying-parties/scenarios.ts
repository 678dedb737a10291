/** A question that operators ask before they change a policy, and the change that it is about. */
export interface Scenario {
  readonly question: string;
  readonly changes: readonly (readonly [pointer: string, value: unknown])[];
}

export const SCENARIOS: readonly Scenario[] = [
  {
    question: 'we demanded device-bound passkeys',
    changes: [
      ['/policy/backup', 'device-bound'],
      // Only a trusted attestation proves it, so the browser must ask for one.
      ['/policy/attestation/conveyance', 'direct'],
    ],
  },
  { question: 'we demanded synced passkeys', changes: [['/policy/backup', 'synced']] },
  {
    question: 'we denied models that the service does not know',
    changes: [['/policy/authenticators/unknown', 'deny']],
  },
  {
    question: 'new passkeys needed a trusted attestation',
    changes: [
      ['/policy/attestation/trust', 'trusted'],
      ['/policy/attestation/conveyance', 'direct'],
    ],
  },
  { question: 'we switched the relying party off', changes: [['/enabled', false]] },
];
