import { hash } from 'node:crypto';
import type { ExpectedPayment } from '../webauthn/payment-data.js';
import type { IdentityProofDto } from './dto/issue-challenge.dto.js';

/** Random bytes of a challenge, at least 16 (WebAuthn L3 §13.4.3), and of a user handle, at most 64 (§5.4.3). */
export const CHALLENGE_BYTES = 32;
export const USER_HANDLE_BYTES = 32;
/** The longest token of a sealed challenge, in characters. */
export const MAX_CHALLENGE_ID = 4_096;

/** A ceremony. All but a registration end with an assertion (WebAuthn L3 §7.2). */
export type Ceremony = 'registration' | AssertionCeremony;

/** A sign-in, the confirmation of a transaction, or a payment. A challenge for one of them is good for no other. */
export type AssertionCeremony = 'authentication' | 'confirmation' | 'payment';

/** An issued challenge: everything that its answer is held to. */
export interface Challenge {
  /** UUIDv7. The outcome of the first answer spends it. */
  readonly id: string;
  readonly rpId: string;
  /** undefined: the challenge is for any user, who answers with a discoverable credential. */
  readonly userId: string | undefined;
  readonly purpose: string | undefined;
  /** 32 random bytes. */
  readonly challenge: Buffer;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  /** What only a registration has. */
  readonly registration?: RegistrationTerms | undefined;
  /** What only a confirmation has. */
  readonly confirmation?: ConfirmationTerms | undefined;
  /** What only a payment has. */
  readonly payment?: PaymentTerms | undefined;
}

export interface ConfirmationTerms {
  /** SHA-256 of the transaction's canonical form (RFC 8785). */
  readonly digest: Buffer;
}

/** What the answer to a payment must show (Secure Payment Confirmation §9.1). */
export interface PaymentTerms extends ExpectedPayment {
  /** SHA-256 of the canonical form (RFC 8785) of the payment that the caller asked for. */
  readonly digest: Buffer;
  readonly callerOrigins: readonly string[];
  /** The pages that may contain the caller's frame; undefined: the caller must be the page itself. */
  readonly topOrigins: readonly string[] | undefined;
  /** The passkeys that the browser was offered, each as digestCredentialId() names it. */
  readonly offered: readonly Buffer[];
}

export const CREDENTIAL_NAME_BYTES = 16;

/** Names a credential within one transaction by the beginning of a hash, because 64 whole ids do not fit into a token. */
export function digestCredentialId(credentialId: Buffer): Buffer {
  return hash('sha256', credentialId, 'buffer').subarray(0, CREDENTIAL_NAME_BYTES);
}

export interface RegistrationTerms {
  /** The user handle that the authenticator is told. */
  readonly handle: Buffer;
  /** How often all passkeys of the user had been revoked when the challenge was issued. */
  readonly revocations: number;
  /** The user's pseudonym in the audit log; undefined: the version before has issued the challenge. */
  readonly uid: string | undefined;
  /** True for `mediation: conditional`, where user presence may be absent (WebAuthn L3 §7.1 step 15). */
  readonly conditional: boolean;
  /** True if the passkey shall confirm payments, where user verification is required (SPC §5). */
  readonly payment: boolean;
  /** The authenticator attachment that the caller asked for; undefined: any. */
  readonly attachment: string | undefined;
  /** How the caller identified the user. */
  readonly identityProof: IdentityProofDto | undefined;
}

/** By which of these a challenge has, its ceremony is known. */
type CeremonyTerms = Partial<Readonly<Record<'registration' | 'confirmation' | 'payment', unknown>>>;

export function getCeremony({ registration, confirmation, payment }: CeremonyTerms): Ceremony {
  if (registration) return 'registration';
  if (payment) return 'payment';
  return confirmation ? 'confirmation' : 'authentication';
}

/** The purposes of challenges for which the caller names none. */
const OWN_PURPOSES: Readonly<Record<Ceremony, string | undefined>> = {
  registration: undefined,
  authentication: undefined,
  confirmation: 'confirm',
  payment: 'pay',
};

/** Returns the purpose whose demands a challenge is held to; undefined: those of the policy alone. */
export function getPolicyPurpose(challenge: Pick<Challenge, 'purpose'> & CeremonyTerms): string | undefined {
  return challenge.purpose ?? OWN_PURPOSES[getCeremony(challenge)];
}

/**
 * Describes the challenge in the event of its outcome: which one it was, when it was issued and what the caller asked
 * for. It was issued to the actor of the event, because it opens for nobody else.
 */
export function describeChallenge({
  id,
  issuedAt,
  purpose,
  registration,
  confirmation,
  payment,
}: Challenge): Readonly<Record<string, unknown>> {
  return {
    challenge_id: id,
    challenge_issued_at: issuedAt.toISOString(),
    purpose,
    identity_proof: registration?.identityProof,
    transaction_digest: (confirmation ?? payment)?.digest.toString('base64url'),
  };
}
