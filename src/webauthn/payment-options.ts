import { BROWSER_KEY_PARAMS } from './browser-bound-key.js';
import type { Payment } from './payment-data.js';

/** The arguments of `new PaymentRequest([methodData], details)` (SPC §4.4), with binary members as base64url. */
export interface PaymentRequestOptions {
  readonly methodData: {
    readonly supportedMethods: 'secure-payment-confirmation';
    readonly data: Omit<Payment, 'total'> & {
      readonly challenge: string;
      readonly rpId: string;
      readonly credentialIds: readonly string[];
      readonly timeout: number;
      readonly browserBoundPubKeyCredParams: typeof BROWSER_KEY_PARAMS;
    };
  };
  readonly details: { readonly total: { readonly label: string; readonly amount: Payment['total'] } };
}

/**
 * Makes what a page gives to its browser. There are no `extensions`: a browser refuses them on a page of another origin
 * than the relying party's (SPC §4.8).
 */
export function makePaymentOptions(ceremony: {
  readonly rpId: string;
  readonly challenge: Buffer;
  /** The user's passkeys, at least one. The browser asks those that it registered for payments. */
  readonly credentialIds: readonly Buffer[];
  /** In the form of normalizePayment(). */
  readonly payment: Payment;
  /** At most 3,600: Chromium ends the page that asks for more. */
  readonly ttlSeconds: number;
}): PaymentRequestOptions {
  const { rpId, challenge, credentialIds, payment, ttlSeconds } = ceremony;
  const { total, ...shown } = payment;
  return {
    methodData: {
      supportedMethods: 'secure-payment-confirmation',
      data: {
        challenge: challenge.toString('base64url'),
        rpId,
        credentialIds: credentialIds.map((id) => id.toString('base64url')),
        ...shown,
        timeout: ttlSeconds * 1_000,
        browserBoundPubKeyCredParams: BROWSER_KEY_PARAMS,
      },
    },
    // A browser does not show the label of this payment method.
    details: { total: { label: 'Total', amount: total } },
  };
}
