import type { VerifiedResponse } from '../../credentials/dto/credential.response.js';
import type { PaymentRequestOptions } from '../../webauthn/payment-options.js';
import type { ShownPayment } from '../../webauthn/payment-data.js';

/** What `new PaymentRequest()` takes, with binary values in base64url. */
export interface PaymentChallengeResponse extends PaymentRequestOptions {
  challengeId: string;
  expiresAt: Date;
  digest: string;
}

export interface PaidResponse extends VerifiedResponse {
  /** SHA-256 of the canonical form (RFC 8785) of the payment that the challenge was issued for, base64url. */
  digest: string;
  /** null: the browser has no key. */
  browserKey: { state: 'new' | 'trusted' | 'untrusted' | 'revoked'; thumbprint: string } | null;
  /** The payment as the browser showed it. */
  payment: ShownPayment & { callerOrigin: string };
}
