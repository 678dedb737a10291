import { hash, randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { PasskeyManager, Schemas } from '@passkey-manager/client';
import type { Account, Accounts } from './accounts.ts';
import { type Exchange, type Routes, readText } from './http.ts';
import { Refusal } from './refusal.ts';
import type { Sessions } from './sessions.ts';
import { origin, rpId, shop } from './settings.ts';

type Payment = Schemas['PaymentChallengeRequest']['payment'];

/** A payment that the shop asked for. */
interface Order {
  readonly id: string;
  /** The shop's id of it. */
  readonly order: string;
  readonly account: Account;
  /** What the user agrees to: the receipt has its digest (RFC 8785). */
  readonly agreed: Payment | { payee: string; item: string; order: string; total: Payment['total'] };
  readonly item: string;
  readonly total: Payment['total'];
  readonly expiresAt: number;
  /** The challenge that the shop's page answers. A challenge for auth-service's own page is in the user's session. */
  challengeId?: string;
  state: 'open' | 'confirmed' | 'cancelled';
  receipt?: string | undefined;
}

const LIFETIME_MS = 10 * 60 * 1000;
const MAX_ORDERS = 1_000;

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><rect width="32" height="32" rx="9" fill="#0f6b57"/></svg>',
)}`;

/**
 * Lets only the shop's server in. Between two companies this would be mutual TLS or signed requests.
 *
 * @throws Refusal shop-unknown
 */
export function requireShop({ headers }: IncomingMessage): void {
  const digest = (text: string) => hash('sha256', text, 'buffer');
  const expected = digest(`Bearer ${shop.key ?? ''}`);
  if (shop.key === undefined || !timingSafeEqual(digest(headers.authorization ?? ''), expected))
    throw new Refusal(401, 'shop-unknown');
}

/**
 * Routes for payments. `/shop/` is for the shop's server: it asks for a payment, and gets a receipt. `/api/payments/` is for
 * auth-service's own page, where users of other browsers see the payment and confirm it.
 */
export function createPaymentRoutes(passkeys: PasskeyManager, accounts: Accounts, sessions: Sessions): Routes {
  const orders = new Map<string, Order>();

  function openOrder({ body }: Exchange): Order {
    const account = accounts.findByEmail(readText(body, 'email', 3, 200).trim().toLowerCase());
    if (!account) throw new Refusal(404, 'email-unknown');
    const [order, item, value] = [
      readText(body, 'order', 1, 64),
      readText(body, 'item', 1, 100),
      readText(body, 'value', 4, 9),
    ];
    if (!/^\d+\.\d\d$/.test(value)) throw new Refusal(400, 'malformed', { member: 'value' });
    const total = { currency: 'EUR', value };
    const agreed =
      body['way'] === 'page'
        ? { payee: shop.name, item, order, total }
        : {
            payeeName: shop.name,
            total,
            instrument: { displayName: 'Example account', icon: ICON, iconMustBeShown: false },
            callerOrigins: [shop.origin],
          };
    const now = Date.now();
    for (const { id, expiresAt } of orders.values()) if (expiresAt <= now) orders.delete(id);
    if (orders.size >= MAX_ORDERS) throw new Refusal(429, 'rate-limited', { retryAfterSeconds: 60 });
    const expiresAt = now + LIFETIME_MS;
    const opened: Order = { id: randomUUID(), order, account, agreed, item, total, expiresAt, state: 'open' };
    orders.set(opened.id, opened);
    return opened;
  }

  function findOrder({ id }: Exchange): Order {
    const order = orders.get(id);
    if (!order || order.expiresAt <= Date.now()) throw new Refusal(404, 'payment-unknown');
    return order;
  }

  function findOpenOrder(exchange: Exchange): Order {
    const order = findOrder(exchange);
    if (order.state !== 'open') throw new Refusal(409, 'payment-closed');
    return order;
  }

  /** The user may have cancelled, or have confirmed a second time, while Passkey Manager verified. */
  const finish = (order: Order, { receipt }: { receipt?: string }) => {
    if (order.state !== 'open') throw new Refusal(409, 'payment-closed');
    Object.assign(order, { state: 'confirmed', receipt });
  };
  const readAnswer = ({ body }: Exchange) => body['response'] as Schemas['AuthenticationResponseJSON'];
  const receipt = { audience: shop.audience };

  return {
    'GET /shop/receipt-keys': () => passkeys.getReceiptKeys(),

    'POST /shop/payments': async (exchange) => {
      const order = openOrder(exchange);
      const { id, agreed } = order;
      if (!('instrument' in agreed)) return { id, agreed, url: `${origin}/confirm.html?payment=${id}` };
      const challenge = await passkeys.issuePaymentChallenge({ rpId, userId: order.account.id, payment: agreed });
      order.challengeId = challenge.challengeId;
      return { id, agreed, challenge: { methodData: challenge.methodData, details: challenge.details } };
    },

    'POST /shop/payments/:id': async (exchange) => {
      const order = findOpenOrder(exchange);
      const { challengeId } = order;
      if (challengeId === undefined) throw new Refusal(409, 'payment-closed');
      finish(order, await passkeys.confirmPayment({ challengeId, response: readAnswer(exchange), receipt }));
      return { state: order.state, receipt: order.receipt };
    },

    'GET /shop/payments/:id': (exchange) => {
      const order = findOrder(exchange);
      return { state: order.state, receipt: order.receipt };
    },

    'GET /api/payments/:id': (exchange) => {
      const { account, item, total, order, state } = findOrder(exchange);
      return { payee: shop.name, item, total, order, state, email: account.email, returnUrl: returnTo(order) };
    },

    'POST /api/payments/:id/challenge': async (exchange) => {
      const { account, agreed } = findOpenOrder(exchange);
      const request = { rpId, userId: account.id, transaction: { ...agreed } };
      const { challengeId, publicKey } = await passkeys.issueConfirmationChallenge(request);
      sessions.addChallenge(exchange.session, exchange.response, challengeId);
      return { challengeId, publicKey };
    },

    'POST /api/payments/:id': async (exchange) => {
      const order = findOpenOrder(exchange);
      const challengeId = readText(exchange.body, 'challengeId', 1, 4_096);
      if (!exchange.session.challenges.delete(challengeId)) throw new Refusal(409, 'challenge-spent');
      const [response, transaction] = [readAnswer(exchange), { ...order.agreed }];
      finish(order, await passkeys.confirmTransaction({ challengeId, response, transaction, receipt }));
      return { returnUrl: returnTo(order.order) };
    },

    'POST /api/payments/:id/cancel': (exchange) => {
      const order = findOpenOrder(exchange);
      order.state = 'cancelled';
      return { returnUrl: returnTo(order.order) };
    },
  };
}

/** Leads only to the shop that auth-service knows. */
const returnTo = (order: string): string => `${shop.origin}/?order=${encodeURIComponent(order)}`;
