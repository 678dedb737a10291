import { randomBytes } from 'node:crypto';
import { digestPayment, type Payment } from '../../src/webauthn/payment-data.js';
import { type PaymentExpectation, type VerifiedPayment, verifyPayment } from '../../src/webauthn/verify-payment.js';
import type { AuthenticationResponseJSON } from '../../src/webauthn/verify-authentication.js';
import { Authenticator } from './authenticator/authenticator.js';
import type { AssertionInterference } from './authenticator/interference.js';
import { type CredentialKey, signWith } from './authenticator/keys.js';
import type { Model } from './authenticator/model.js';

/**
 * Payments without a service: the pure functions verify the answer of a browser in software, which writes client data as
 * Chromium 156 does. Its browser-bound keys follow the specification; no real device has made one of them.
 */

export const RP_ID = 'bank.example';
export const SHOP = 'https://shop.example';

export const PAYMENT = {
  payeeName: 'Shop',
  payeeOrigin: SHOP,
  total: { currency: 'EUR', value: '12.50' },
  instrument: { displayName: 'Visa ••1234', icon: 'https://bank.example/visa.png', details: 'until 12/29' },
  paymentEntitiesLogos: [
    { url: 'https://bank.example/logo.png', label: 'Bank' },
    { url: 'https://network.example/logo.png', label: 'Network' },
    { url: 'data:image/png;base64,AAAA', label: 'Wallet' },
  ],
} satisfies Payment;

/** The member `payment` as Chromium writes it: always with logos, never with iconMustBeShown. */
function showPayment({ instrument, ...payment }: Payment): Record<string, unknown> {
  const { iconMustBeShown: _, ...shown } = instrument;
  return { rpId: RP_ID, topOrigin: SHOP, paymentEntitiesLogos: [], ...payment, instrument: shown };
}

export interface PaymentVariation {
  readonly model?: Partial<Model>;
  /** The payment that was sent to the browser. */
  readonly sent?: Payment;
  /** Replaces the member `payment` of the client data; it gets an honest one. */
  readonly shown?: (honest: Record<string, unknown>) => unknown;
  readonly interference?: AssertionInterference;
  readonly browserKey?: CredentialKey;
  /** Changes the answer after everything is signed. */
  readonly altered?: (answer: AuthenticationResponseJSON) => AuthenticationResponseJSON;
  readonly expected?: Partial<PaymentExpectation>;
}

/** An honest answer to a payment, or a varied one, and what it is verified with. */
export function answerPayment(variation: PaymentVariation = {}): {
  answer: AuthenticationResponseJSON;
  expected: PaymentExpectation;
} {
  const { model, sent = PAYMENT, shown, interference = {}, browserKey, altered, expected } = variation;
  const challenge = randomBytes(32);
  const authenticator = new Authenticator(model);
  const user = { id: randomBytes(32).toString('base64url'), name: '', displayName: '' };
  const rp = { id: RP_ID, name: '' };
  authenticator.create({ rp, user, challenge: 'AAAA', pubKeyCredParams: [] }, 'https://bank.example');
  const passkey = authenticator.newest;
  const honest = {
    ...showPayment(sent),
    ...(browserKey && { browserBoundPublicKey: browserKey.cose.toString('base64url') }),
  };
  const clientData = { type: 'payment.get', payment: shown ? shown(honest) : honest, ...interference.clientData };
  const options = { rpId: RP_ID, challenge: challenge.toString('base64url') };
  const signed = authenticator.get(options, SHOP, { passkey, ...interference, clientData });
  const answer = browserKey ? signAsBrowser(signed, browserKey) : signed;
  const credential = {
    credentialId: passkey.id,
    publicKey: passkey.key.cose,
    backupEligible: authenticator.model.backupEligible,
  };
  return {
    answer: altered?.(answer) ?? answer,
    expected: {
      rpId: RP_ID,
      challenge,
      callerOrigins: [SHOP],
      topOrigins: undefined,
      ...digestPayment(sent),
      credential,
      allowBackupGrowth: false,
      ...expected,
    },
  };
}

export function runPayment(variation: PaymentVariation = {}): Promise<VerifiedPayment> {
  const { answer, expected } = answerPayment(variation);
  return Promise.resolve().then(() => verifyPayment(answer, expected));
}

/** Adds the signature of a browser-bound key over the raw client data (SPC §6.5). */
function signAsBrowser(answer: AuthenticationResponseJSON, key: CredentialKey): AuthenticationResponseJSON {
  const signature = signWith(key, Buffer.from(answer.response.clientDataJSON, 'base64url'));
  return withOutputs(answer, { payment: { browserBoundSignature: { signature: signature.toString('base64url') } } });
}

/** Replaces the extension outputs, which a browser does not sign. */
export const withOutputs = (answer: AuthenticationResponseJSON, outputs: object): AuthenticationResponseJSON => ({
  ...answer,
  clientExtensionResults: outputs,
});
