/**
 * Verifies the answer to a Secure Payment Confirmation request: the passkey's user agreed to this payment, on this page.
 * https://www.w3.org/TR/secure-payment-confirmation/
 *
 * - `payment-options.ts` makes what a page gives to `new PaymentRequest()`.
 * - `assertion.ts` and `client-data.ts` have the steps of WebAuthn L3 §7.2, which a sign-in has, too.
 * - `payment-data.ts` holds the payment that the browser showed against the one that was sent.
 * - `browser-bound-key.ts` verifies the key of the browser, which is additional to the passkey.
 */
import { hash } from 'node:crypto';
import {
  type AssertionExpectation,
  type AuthenticationResponseJSON,
  decodeAssertion,
  type VerifiedAuthentication,
  verifyAssertion,
} from './assertion.js';
import { type BrowserBoundKey, verifyBrowserBoundKey } from './browser-bound-key.js';
import { verifyClientData } from './client-data.js';
import { type ExpectedPayment, type PaymentFrame, type ShownPayment, verifyPaymentData } from './payment-data.js';

export interface PaymentExpectation
  extends Omit<AssertionExpectation, 'requireUserVerification'>, ExpectedPayment, PaymentFrame {
  readonly challenge: Buffer;
  /** The origins that may call the browser: the merchant's or its payment service provider's. */
  readonly callerOrigins: readonly string[];
}

export interface VerifiedPayment extends VerifiedAuthentication {
  /** The origin that called the browser. */
  readonly callerOrigin: string;
  readonly payment: ShownPayment;
  /** SHA-256 of the three parts of the answer that show the payment to somebody else later. */
  readonly hashes: { readonly clientData: Buffer; readonly authenticatorData: Buffer; readonly signature: Buffer };
  readonly browserBoundKey: BrowserBoundKey | undefined;
}

/**
 * Verifies a payment, SPC §9.1 step 2: WebAuthn L3 §7.2 steps 6-21, with the client data's `payment` after step 14. SPC
 * quotes the steps of WebAuthn Level 2 and puts `payment` behind the origin; Level 3 has two more steps of origins
 * there, so they come first. User presence and user verification are always demanded (SPC §4.11).
 *
 * The caller checks that the credential is one of those that were sent (step 5), and the sign count (step 22) where it
 * stores it.
 *
 * @throws Refusal
 */
export function verifyPayment(answer: AuthenticationResponseJSON, expected: PaymentExpectation): VerifiedPayment {
  // Steps 6 and 7.
  const assertion = decodeAssertion(answer, expected.credential);
  const { challenge, callerOrigins: origins, topOrigins } = expected;
  // Steps 8 to 14.
  const clientData = verifyClientData(answer.response.clientDataJSON, {
    type: 'payment.get',
    challenge,
    origins,
    crossOrigin: { allow: topOrigins !== undefined, topOrigins: topOrigins ?? [] },
  });
  // SPC §9.1 step 2.5.
  const payment = verifyPaymentData(clientData, expected);
  // Steps 15 to 21.
  const authentication = verifyAssertion(assertion, clientData.bytes, { ...expected, requireUserVerification: true });
  // SPC §6.4 and §6.5.
  const { browserBoundPublicKey } = clientData.payment as { browserBoundPublicKey?: unknown };
  const outputs: unknown = answer.clientExtensionResults;
  const browserBoundKey = verifyBrowserBoundKey(browserBoundPublicKey, outputs, clientData.bytes);
  const sha256 = (bytes: Buffer): Buffer => hash('sha256', bytes, 'buffer');
  return {
    ...authentication,
    callerOrigin: clientData.origin,
    payment,
    hashes: {
      clientData: sha256(clientData.bytes),
      authenticatorData: sha256(assertion.authenticatorData),
      signature: sha256(assertion.signature),
    },
    browserBoundKey,
  };
}
