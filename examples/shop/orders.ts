import { hash, randomUUID } from 'node:crypto';
import { type Receipt, ReceiptError, type ReceiptKeySource, verifyReceipt } from '@passkey-manager/client/receipt';
import canonicalize from 'canonicalize';
import { type Exchange, type Routes, readText } from '../auth-service/http.ts';
import { Refusal } from '../auth-service/refusal.ts';
import { type Asked, callBank, type Outcome } from './bank.ts';

export const ITEM = { name: 'Coffee beans, 500 g', value: '18.00', currency: 'EUR' };

interface Order {
  readonly id: string;
  readonly email: string;
  readonly way: 'browser' | 'page';
  readonly asked: Asked;
  /** The last state that auth-service has told. */
  state: Outcome['state'];
  receipt?: string;
  claims?: Receipt;
}

const MAX_ORDERS = 1_000;

/** What this shop expects of a receipt. */
export interface Expected {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksFrom: ReceiptKeySource;
}

/** Routes for orders and receipts. Who knows the random id of an order may see it: the shop has no accounts. */
export function createOrderRoutes(expected: Expected): Routes {
  const orders = new Map<string, Order>();

  function findOrder({ id }: Exchange): Order {
    const order = orders.get(id);
    if (!order) throw new Refusal(404, 'order-unknown');
    return order;
  }

  /** Delivers only for a receipt of exactly this payment, from a user whom the authenticator has verified. */
  async function settle(order: Order, { state, receipt }: Outcome): Promise<void> {
    if (receipt !== undefined && order.claims === undefined) {
      const claims = await verify(receipt, order);
      if (!claims.uv) throw new Refusal(422, 'receipt-invalid', { reason: 'assurance-too-low' });
      Object.assign(order, { receipt, claims });
    }
    order.state = state;
  }

  async function verify(receipt: string, { asked }: Order): Promise<Receipt> {
    const transactionDigest = hash('sha256', canonicalize(asked.agreed)!, 'base64url');
    return verifyReceipt(receipt, { ...expected, transactionDigest }).catch((error: unknown) => {
      throw error instanceof ReceiptError ? new Refusal(422, 'receipt-invalid', { reason: error.reason }) : error;
    });
  }

  return {
    'GET /api/item': () => ITEM,

    'POST /api/orders': async ({ body }) => {
      const [email, way] = [readText(body, 'email', 3, 200), body['way'] === 'page' ? 'page' : 'browser'] as const;
      const id = randomUUID();
      const request = { email, order: id, item: ITEM.name, value: ITEM.value, way };
      const asked = await callBank<Asked>('POST', 'payments', request);
      const { total } = asked.agreed;
      if (total.value !== ITEM.value || total.currency !== ITEM.currency) throw new Refusal(502, 'bank-wrong');
      const [oldest] = orders.keys();
      if (oldest !== undefined && orders.size >= MAX_ORDERS) orders.delete(oldest);
      orders.set(id, { id, email, way, asked, state: 'open' });
      return { id, challenge: asked.challenge, url: asked.url };
    },

    'POST /api/orders/:id': async (exchange) => {
      const order = findOrder(exchange);
      const { response } = exchange.body;
      await settle(order, await callBank<Outcome>('POST', `payments/${order.asked.id}`, { response }));
      return describe(order);
    },

    'GET /api/orders/:id': async (exchange) => {
      const order = findOrder(exchange);
      if (order.state === 'open') await settle(order, await callBank<Outcome>('GET', `payments/${order.asked.id}`));
      return describe(order);
    },

    /** Asks nobody: the shop has the keys. */
    'POST /api/orders/:id/verify': async (exchange) => ({
      claims: await verify(readText(exchange.body, 'receipt', 1, 10_000).trim(), findOrder(exchange)),
    }),
  };
}

function describe({ id, email, way, state, receipt, claims }: Order) {
  return { id, email, way, state, receipt, claims, item: ITEM };
}
