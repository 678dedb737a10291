/** The reasons to refuse a ceremony: the contract's closed list. */
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
 * A step of a ceremony that does not hold. `detail` says what was expected and what was received, but never a secret.
 * It is well-formed Unicode, even if the received text is not or was cut within a character: the audit log hashes
 * nothing else.
 */
export class Refusal extends Error {
  readonly reason: Reason;
  readonly detail: string;
  /** The clause of WebAuthn Level 3, such as `§7.1 step 14`; absent when only the policy refuses. */
  clause?: string;

  constructor(reason: Reason, detail: string) {
    super(`${reason}: ${detail}`.toWellFormed());
    this.name = 'Refusal';
    this.reason = reason;
    this.detail = detail.toWellFormed();
  }
}

/** The section of a ceremony: §7.1 registers, §7.2 authenticates. */
export type Section = '§7.1' | '§7.2';

/** Runs one numbered step of a ceremony and adds its number to a refusal. @throws Refusal */
export function step<T>(section: Section, number: number, run: () => T): T {
  const name = (error: unknown): never => {
    if (error instanceof Refusal) error.clause ??= `${section} step ${String(number)}`;
    throw error;
  };
  try {
    const outcome = run();
    return outcome instanceof Promise ? (outcome.catch(name) as T) : outcome;
  } catch (error) {
    return name(error);
  }
}

/** Asserts a condition of a ceremony. @throws Refusal unless it holds */
export function refuseUnless(holds: boolean, reason: Reason, detail: string): asserts holds {
  if (!holds) throw new Refusal(reason, detail);
}
