import type { ReceiptKeys } from '@passkey-manager/client/receipt';
import { Refusal } from '../auth-service/refusal.ts';
import { origin, shop } from '../auth-service/settings.ts';

/** What auth-service answers to a request for a payment. */
export interface Asked {
  /** Auth-service's id of the payment. */
  readonly id: string;
  /** What the user is to agree to. The receipt has the digest of it. */
  readonly agreed: { readonly total: { readonly currency: string; readonly value: string } };
  /** What the shop's page gives to `new PaymentRequest()`. */
  readonly challenge?: object;
  /** Auth-service's own page, for browsers without Secure Payment Confirmation. */
  readonly url?: string;
}

export interface Outcome {
  readonly state: 'open' | 'confirmed' | 'cancelled';
  readonly receipt?: string;
}

/** Calls auth-service as the shop's server. The shop never talks to Passkey Manager. */
export async function callBank<Reply>(method: 'GET' | 'POST', path: string, body?: object): Promise<Reply> {
  const response = await fetch(`${origin}/shop/${path}`, {
    method,
    headers: { authorization: `Bearer ${shop.key ?? ''}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    console.error(error);
    throw new Refusal(503, 'bank-unreachable');
  });
  const reply = (await response.json().catch(() => ({ code: 'unexpected' }))) as Record<string, unknown>;
  if (response.ok) return reply as Reply;
  throw new Refusal(response.status, String(reply['code']), reply);
}

/** Fetches the keys of receipts through auth-service. While that does not answer, the last ones go on. */
export class BankKeys {
  readonly #fetchKeys: () => Promise<ReceiptKeys>;
  #kept: ReceiptKeys | undefined;

  constructor(fetchKeys = () => callBank<ReceiptKeys>('GET', 'receipt-keys')) {
    this.#fetchKeys = fetchKeys;
  }

  async getReceiptKeys(): Promise<ReceiptKeys> {
    try {
      this.#kept = await this.#fetchKeys();
    } catch (error) {
      if (!this.#kept) throw error;
    }
    return this.#kept;
  }
}
