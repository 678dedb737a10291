import type { AuthenticatorLabel } from '../../authenticators/authenticators.service.js';
import type { CredentialEntity, CredentialStatus } from '../credential.entity.js';
import type { Migration } from '../successor-passkeys.js';

export class CredentialResponse {
  id: string;
  credentialId: string;
  rpId: string;
  userId: string;
  name: string;
  status: CredentialStatus;
  aaguid: string;
  authenticator: AuthenticatorLabel | null;
  algorithm: number;
  attachment: string | null;
  transports: string[];
  discoverable: boolean | null;
  /** null: not known until the next authentication. */
  backupEligible: boolean | null;
  backedUp: boolean;
  userVerified: boolean;
  attestation: { format: string; trust: string };
  signCount: number;
  createdAt: Date;
  createdBy: string;
  lastUsedAt: Date | null;
  statusChangedAt: Date;
  statusReason: string | null;

  static of(credential: CredentialEntity, authenticator: AuthenticatorLabel | null): CredentialResponse {
    const {
      credentialId,
      publicKey,
      version,
      bindingMac,
      attestationFormat,
      attestationTrust,
      lastSignInAt,
      browserKeys,
      userHandle,
      ...shown
    } = credential;
    return {
      ...shown,
      credentialId: credentialId.toString('base64url'),
      lastUsedAt: hasForm(shown.lastUsedAt) ? shown.lastUsedAt : null,
      authenticator,
      attestation: { format: attestationFormat, trust: attestationTrust },
    };
  }
}

/** RFC 3339: the years 0000 to 9999. The seal does not cover the time, so SQL may have set any other, or `infinity`. */
function hasForm(time: unknown): boolean {
  return time instanceof Date && time.getUTCFullYear() >= 0 && time.getUTCFullYear() <= 9_999;
}

export interface VerifiedResponse {
  verified: true;
  rpId: string;
  userId: string;
  purpose: string | null;
  userVerified: boolean;
  credential: CredentialResponse & { readonly backupEligible: boolean };
  /**
   * Observations that do not refuse the user but deserve attention: `sign-count-regressed`,
   * `backup-eligibility-changed`, `browser-key-new`, `browser-key-absent`.
   */
  risks: string[];
  verifiedAt: Date;
  auditId: string;
  /** Absent if the relying party has no successor. */
  migration?: Migration;
  /** A JWS, if the caller asked for one. */
  receipt?: string;
}
