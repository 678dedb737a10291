import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { Authenticator } from './authenticator/authenticator.js';
import type { AssertionInterference } from './authenticator/interference.js';
import { type CredentialKey, signWith } from './authenticator/keys.js';
import type { Verification } from './bodies.js';
import { requireStatus } from './ceremonies.js';
import type { Answer, Client } from './client.js';
import { withOutputs } from './pure-payments.js';

export const SHOP = 'https://shop.example';
export const PAYMENT = {
  total: { currency: 'EUR', value: '12.50' },
  payeeName: 'Shop',
  payeeOrigin: SHOP,
  instrument: { displayName: 'Debit card ••1234', icon: 'https://login.example.com/card.png' },
  callerOrigins: [SHOP],
};

type Members = Record<string, unknown>;

export interface PaymentChallenge {
  challengeId: string;
  digest: string;
  methodData: {
    supportedMethods: string;
    data: { challenge: string; rpId: string; credentialIds: string[] };
  };
  details: { total: { label: string; amount: unknown } };
}

export type PaymentConfirmation = Verification & {
  digest: string;
  payment: Members;
  browserKey: { state: string; thumbprint: string } | null;
  receipt?: string;
};

/** Auth-service, a shop and the user's browser in one, for the payments of one user. */
export class PaymentCeremonies<Identity extends string> {
  private readonly client: Client<Identity>;
  private readonly caller: Identity;
  readonly rpId: string;
  readonly userId: string;

  constructor(client: Client<Identity>, caller: Identity, rpId: string, userId: string) {
    this.client = client;
    this.caller = caller;
    this.rpId = rpId;
    this.userId = userId;
  }

  request(payment: object = {}, members: object = {}): Promise<Answer<PaymentChallenge>> {
    const body = { rpId: this.rpId, userId: this.userId, payment: { ...PAYMENT, ...payment }, ...members };
    return this.client.call(this.caller, 'POST', '/v1/challenges/payment', body);
  }

  async begin(payment: object = {}): Promise<PaymentChallenge> {
    return requireStatus(await this.request(payment), 201);
  }

  confirm(challengeId: string, response: unknown, members: object = {}): Promise<Answer<PaymentConfirmation>> {
    return this.client.call(this.caller, 'POST', '/v1/payments', { challengeId, response, ...members });
  }

  /** Runs a whole payment on the shop's page. */
  async pay(authenticator: Authenticator, browserKey?: CredentialKey): Promise<Answer<PaymentConfirmation>> {
    const issued = await this.begin();
    return this.confirm(issued.challengeId, showPayment(issued, authenticator, { browserKey }));
  }
}

/** The browser and the authenticator: shows the payment on the shop's page, and signs what it showed. */
export function showPayment(
  { methodData: { data } }: PaymentChallenge,
  authenticator: Authenticator,
  {
    payment = {},
    interference: { clientData, ...interference } = {},
    browserKey,
  }: {
    /** Members of the payment that the browser shows, to replace or add. */
    payment?: Members | undefined;
    interference?: AssertionInterference;
    browserKey?: CredentialKey | undefined;
  } = {},
): AuthenticationResponseJSON {
  const options = {
    challenge: data.challenge,
    rpId: data.rpId,
    allowCredentials: data.credentialIds.map((id) => ({ type: 'public-key' as const, id })),
  };
  const { total, payeeName, payeeOrigin, instrument } = PAYMENT;
  const shown = { total, payeeName, payeeOrigin, instrument, paymentEntitiesLogos: [], topOrigin: SHOP };
  const key = browserKey && { browserBoundPublicKey: browserKey.cose.toString('base64url') };
  const answer = authenticator.get(options, SHOP, {
    clientData: { type: 'payment.get', payment: { rpId: data.rpId, ...shown, ...key, ...payment }, ...clientData },
    ...interference,
  });
  if (!browserKey) return answer;
  const signature = signWith(browserKey, Buffer.from(answer.response.clientDataJSON, 'base64url'));
  return withOutputs(answer, { payment: { browserBoundSignature: { signature: signature.toString('base64url') } } });
}
