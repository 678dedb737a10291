import type { CredentialResponse } from './credential.response.js';

export interface VerifiedResponse {
  verified: true;
  rpId: string;
  userId: string;
  purpose: string | null;
  userVerified: boolean;
  credential: CredentialResponse;
  /** What does not refuse the user but deserves a look: `sign-count-regressed`. */
  risks: string[];
  verifiedAt: Date;
  auditId: string;
}
