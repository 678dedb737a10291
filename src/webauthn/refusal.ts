/**
 * Refusals: the closed list of reasons, the advice for each, the error that carries them, and the two ways to raise it
 * (`step` and `refuseUnless`).
 */

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
  'transaction-mismatch',
  'payment-mismatch',
  'browser-key-invalid',
  'browser-key-denied',
] as const;

export type Reason = (typeof REASONS)[number];

/** The members of client data that a refusal for `payment-mismatch` can name: the contract's closed list. */
export const PAYMENT_MEMBERS = [
  'payment',
  'payment.rpId',
  'payment.rp',
  'payment.topOrigin',
  'payment.payeeName',
  'payment.payeeOrigin',
  'payment.paymentEntitiesLogos',
  'payment.total',
  'payment.total.currency',
  'payment.total.value',
  'payment.instrument',
  'payment.instrument.displayName',
  'payment.instrument.icon',
  'payment.instrument.iconMustBeShown',
  'payment.instrument.details',
] as const;

export type PaymentMember = (typeof PAYMENT_MEMBERS)[number];

/** The advice to auth-service's developers for each reason of a refusal. A response has it beside the detail. */
export const ADVICE: Readonly<Record<Reason, string>> = {
  malformed:
    'Send the answer exactly as PublicKeyCredential.toJSON() gives it. If you do, let the user try another browser or authenticator.',
  'type-mismatch':
    'Send the answer of navigator.credentials.create() as a registration, that of get() as an authentication, that of a PaymentRequest as a payment.',
  'challenge-mismatch':
    'Give the browser the options that came with this challengeId, and send its answer with that challengeId.',
  'origin-mismatch':
    'If the page is yours, add its origin to the relying party’s origins, or to the payment’s callerOrigins. If it is not, somebody may be phishing your users.',
  'cross-origin-denied':
    'Run the ceremony in the top page, or allow the frame with the policy’s crossOrigin, or with the payment’s topOrigins.',
  'rp-id-mismatch': 'Give the browser the options unchanged: the rpId in them is the challenge’s.',
  'user-presence-missing':
    'Let the user try again. A conditional create needs a challenge with mediation: conditional.',
  'user-verification-missing': 'Let the user set up a PIN or biometrics on the authenticator, or use another one.',
  'backup-flags-invalid': 'The authenticator contradicts itself. Let the user use another one.',
  'backup-eligibility-changed':
    'Let the user sign in another way and register a new passkey, or see the policy’s backupEligibilityChange.',
  'backup-state-denied': 'Let the user use an authenticator of the kind that the policy’s backup names.',
  'algorithm-denied':
    'Give the browser the options unchanged. If you do, the authenticator ignores them: let the user use another one.',
  'public-key-invalid': 'The authenticator made a key that cannot be used safely. Let the user use another one.',
  'credential-id-invalid': 'Send id and rawId as the browser gave them.',
  'attestation-format-denied':
    'Let the user use another authenticator, or add the format to the policy’s attestation.formats.',
  'attestation-invalid':
    'Let the user try again, then use another authenticator. If a whole model fails, tell its maker.',
  'attestation-untrusted':
    'Let the user use another authenticator. If you trust the maker of this one, give the service its root (PASSKEY_ATTESTATION_ROOTS_FILE) or FIDO metadata (PASSKEY_MDS_BLOB_FILE).',
  'authenticator-denied': 'Let the user use an authenticator that the policy allows.',
  'authenticator-compromised':
    'Let the user register a passkey on another authenticator, and revoke those on this one.',
  'signature-invalid': 'Let the user try again. If it fails again, revoke the passkey and register a new one.',
  'credential-unknown': 'Pass the signal, if there is one, on to the browser, and let the user sign in another way.',
  'credential-suspended': 'Let the user sign in another way; an operator can reinstate the passkey.',
  'credential-revoked': 'Let the user sign in another way and register a new passkey.',
  'credential-not-allowed':
    'Let the user choose a passkey of the account that they named, or begin again without naming one.',
  'user-handle-mismatch':
    'Name the user in the challenge when the passkey is not discoverable, and send userHandle as the browser gave it.',
  'sign-count-regressed':
    'The passkey may have been copied. Let the user sign in another way, and look at the runbook.',
  'purpose-mismatch': 'Send the purpose with which the challenge was issued.',
  'ceremony-mismatch': 'Send the answer to the route of the ceremony for which the challenge was issued.',
  'transaction-mismatch':
    'Send the transaction that the challenge was issued for. If you do, somebody has changed it: confirm nothing.',
  'payment-mismatch':
    'Do not pay. Give the browser methodData and details unchanged. If you do, the page that calls the browser changes them.',
  'browser-key-invalid':
    'Send clientExtensionResults as the browser gave them. If you do, let the user pay in another way.',
  'browser-key-denied': 'Identify the user in another way: the policy does not know the browser of this payment.',
};

export type AttestationTrust = 'none' | 'self' | 'untrusted' | 'trusted';

/**
 * A step of a ceremony that fails. `detail` says what was expected and what was received, but never a secret.
 * It is well-formed Unicode, even if the received text is not or was cut within a character: the audit log hashes
 * nothing else.
 */
export class Refusal extends Error {
  readonly reason: Reason;
  readonly detail: string;
  /** The member that differs; present for `payment-mismatch`. */
  readonly member?: PaymentMember;
  /**
   * The clause of WebAuthn Level 3, such as `§7.1 step 14`, or of Secure Payment Confirmation, such as `SPC §9.1 step
   * 2.5`; absent when only the policy refuses.
   */
  clause?: string;

  constructor(reason: Reason, detail: string, member?: PaymentMember) {
    super(`${reason}: ${detail}`.toWellFormed());
    this.name = 'Refusal';
    this.reason = reason;
    this.detail = detail.toWellFormed();
    if (member) this.member = member;
  }
}

/** The section of a ceremony: §7.1 registers, §7.2 authenticates. */
export type Section = '§7.1' | '§7.2';

/** Runs one numbered step of a ceremony and adds its number to a refusal. @throws Refusal */
export const step = <T>(section: Section, number: number, run: () => T): T => inClause(section, run, number);

/**
 * Runs what a clause of a specification demands and adds the clause to a refusal.
 *
 * @param number that of a step within the clause
 * @throws Refusal
 */
export function inClause<T>(clause: string, run: () => T, number?: number): T {
  try {
    const outcome = run();
    if (!(outcome instanceof Promise)) return outcome;
    return outcome.catch((error: unknown) => addClause(error, clause, number)) as T;
  } catch (error) {
    return addClause(error, clause, number);
  }
}

/** @throws the error */
function addClause(error: unknown, clause: string, number: number | undefined): never {
  if (error instanceof Refusal) error.clause ??= number === undefined ? clause : `${clause} step ${String(number)}`;
  throw error;
}

/** Asserts a condition of a ceremony. @throws Refusal unless it is met */
export function refuseUnless(holds: boolean, reason: Reason, detail: string): asserts holds {
  if (!holds) throw new Refusal(reason, detail);
}
