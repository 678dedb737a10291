import type { IssuedChallengeResponse } from '../../challenges/dto/issued-challenge.response.js';
import type { VerifiedResponse } from '../../credentials/dto/credential.response.js';
import type { PublicKeyCredentialRequestOptionsJSON } from '../../webauthn/options.js';

export interface ConfirmationChallengeResponse extends IssuedChallengeResponse<PublicKeyCredentialRequestOptionsJSON> {
  /** SHA-256 of the transaction's canonical form (RFC 8785), base64url. */
  digest: string;
}

export interface ConfirmedResponse extends VerifiedResponse {
  digest: string;
}
