/** Why a ceremony was refused: the contract's closed list. */
export const REASONS = [
  'malformed',
  'type-mismatch',
  'challenge-mismatch',
  'origin-mismatch',
  'cross-origin-denied',
  'rp-id-mismatch',
  'user-presence-missing',
  'user-verification-missing',
  'backup-flags-invalid',
  'backup-eligibility-changed',
  'backup-state-denied',
  'algorithm-denied',
  'public-key-invalid',
  'credential-id-invalid',
  'attestation-format-denied',
  'attestation-invalid',
  'attestation-untrusted',
  'authenticator-denied',
  'authenticator-compromised',
  'signature-invalid',
  'credential-unknown',
  'credential-suspended',
  'credential-revoked',
  'credential-not-allowed',
  'user-handle-mismatch',
  'sign-count-regressed',
  'purpose-mismatch',
  'ceremony-mismatch',
] as const;

export type Reason = (typeof REASONS)[number];

export type AttestationTrust = 'none' | 'self' | 'untrusted' | 'trusted';

/**
 * A step of a ceremony that does not hold. `detail` says what was expected and received, never a secret. It is well-formed
 * Unicode, whatever was received and wherever that was cut: the audit log hashes nothing else.
 */
export class Refusal extends Error {
  readonly reason: Reason;
  readonly detail: string;

  constructor(reason: Reason, detail: string) {
    super(`${reason}: ${detail}`.toWellFormed());
    this.name = 'Refusal';
    this.reason = reason;
    this.detail = detail.toWellFormed();
  }
}

/** @throws Refusal when the step does not hold */
export function step(holds: boolean, reason: Reason, detail: string): asserts holds {
  if (!holds) throw new Refusal(reason, detail);
}
