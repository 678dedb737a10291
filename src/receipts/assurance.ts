/** What a verified ceremony shows about the passkey and its user. */
export interface Assured {
  /** Flag UV of WebAuthn L3 §6.1. */
  readonly userVerified: boolean;
  readonly credential: {
    /** Flag BE of WebAuthn L3 §6.1. */
    readonly backupEligible: boolean;
    readonly attestation: { readonly trust: string };
  };
}

/**
 * How sure a ceremony makes it that its user was there, from the least to the most. docs/receipts.md says what each means
 * and what it is fit for.
 */
export type Assurance = 'presence' | 'synced' | 'device-bound' | 'attested';

/** The prefix of `acr`. */
const ACR = 'urn:passkey-manager:acr:';

export function toAcr(assured: Assured): string {
  return ACR + rateAssurance(assured);
}

function rateAssurance({ userVerified, credential }: Assured): Assurance {
  if (!userVerified) return 'presence';
  if (credential.backupEligible) return 'synced';
  return isAttested(credential) ? 'attested' : 'device-bound';
}

/**
 * Lists the authentication methods (RFC 8176 §2). `hwk` and `swk` follow the backup eligibility, which only a trusted
 * attestation proves: an authenticator in software can claim it.
 */
export function toAmr({ userVerified, credential }: Assured): string[] {
  return ['pop', credential.backupEligible ? 'swk' : 'hwk', 'user', ...(userVerified ? ['mfa'] : [])];
}

/** True if a trusted attestation has proved the model of the authenticator. */
export function isAttested({ attestation }: Assured['credential']): boolean {
  return attestation.trust === 'trusted';
}
