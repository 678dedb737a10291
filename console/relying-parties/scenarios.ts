export type Change = readonly [pointer: string, value: unknown];

const ATTESTATION: readonly Change[] = [['/policy/attestation/conveyance', 'direct']];

/** A question that operators ask before they change a policy, and the change that it is about. */
export interface Scenario {
  readonly question: string;
  readonly changes: readonly Change[];
  /** What it cannot go without, so that the question is about that, too, and says so. */
  readonly also?: { readonly why: string; readonly changes: readonly Change[] };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    question: 'we demanded device-bound passkeys',
    changes: [['/policy/backup', 'device-bound']],
    also: {
      why: 'Only a trusted attestation proves that a passkey is device-bound, so the question also asks browsers for one (conveyance: direct).',
      changes: ATTESTATION,
    },
  },
  { question: 'we demanded synced passkeys', changes: [['/policy/backup', 'synced']] },
  {
    question: 'we denied models that the service does not know',
    changes: [['/policy/authenticators/unknown', 'deny']],
  },
  {
    question: 'new passkeys needed a trusted attestation',
    changes: [['/policy/attestation/trust', 'trusted']],
    also: {
      why: 'A browser gives no attestation unless it is asked for one, so the question also does that (conveyance: direct).',
      changes: ATTESTATION,
    },
  },
  { question: 'we switched the relying party off', changes: [['/enabled', false]] },
];
