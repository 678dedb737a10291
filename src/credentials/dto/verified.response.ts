import type { CredentialResponse } from './credential.response.js';

export interface VerifiedResponse {
  verified: true;
  rpId: string;
  userId: string;
  purpose: string | null;
  userVerified: boolean;
  credential: CredentialResponse;
  /**
   * Observations that do not refuse the user but deserve attention: `sign-count-regressed`,
   * `backup-eligibility-changed`.
   */
  risks: string[];
  verifiedAt: Date;
  auditId: string;
}
