import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PasskeyManager } from '@passkey-manager/client';
import { Accounts } from '../../examples/auth-service/accounts.ts';
import type { Exchange } from '../../examples/auth-service/http.ts';
import { createPaymentRoutes } from '../../examples/auth-service/payments.ts';
import { Refusal } from '../../examples/auth-service/refusal.ts';
import { Sessions } from '../../examples/auth-service/sessions.ts';
import { BankKeys } from '../../examples/shop/bank.ts';

const hasCode = (code: string) => (error: unknown) => error instanceof Refusal && error.message === code;

await describe('the shop', async () => {
  await it('goes on with the keys that it has while auth-service does not answer', async () => {
    const keys = { keys: [] };
    const answers = [() => Promise.resolve(keys), () => Promise.reject(new Error('no answer'))];
    const bank = new BankKeys(() => answers.shift()!());
    assert.equal(await bank.getReceiptKeys(), keys);
    assert.equal(await bank.getReceiptKeys(), keys);
    assert.equal(answers.length, 0);
  });

  await it('does not start without keys', async () => {
    await assert.rejects(new BankKeys(() => Promise.reject(new Error('no answer'))).getReceiptKeys(), /no answer/);
  });
});

await describe('a payment that a shop asks for', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'auth-service-'));
  after(() => {
    rmSync(directory, { recursive: true });
  });
  const accounts = new Accounts(join(directory, 'accounts.json'));
  before(async () => {
    await accounts.signUp('ada@example.com', 'Ada', 'correct horse');
  });
  const service = {
    issueConfirmationChallenge: () => Promise.resolve({ challengeId: 'c-1', publicKey: {} }),
    confirmTransaction: () => Promise.resolve({ receipt: 'a receipt' }),
  } as unknown as PasskeyManager;
  const sessions = new Sessions();
  const routes = createPaymentRoutes(service, accounts, sessions);
  const session = sessions.getSession({ headers: {} } as IncomingMessage);
  const response = { setHeader: () => undefined } as unknown as ServerResponse;
  const order = { email: 'ada@example.com', order: 'o-1', item: 'Coffee', value: '18.00', way: 'page' };
  const send = async (route: string, id: string, body: object) => {
    const exchange = { request: {}, response, session, id, body } as Exchange;
    return (await routes[route]!(exchange)) as Record<string, unknown>;
  };

  for (const value of ['18', '18.000', '-1.00', '1e9.00', '18,00']) {
    await it(`is refused for the amount ${value}`, async () => {
      await assert.rejects(send('POST /shop/payments', '', { ...order, value }), hasCode('malformed'));
    });
  }

  await it('is refused for a user without an account', async () => {
    await assert.rejects(
      send('POST /shop/payments', '', { ...order, email: 'eve@example.com' }),
      hasCode('email-unknown'),
    );
  });

  await it('leads back to the shop, has its receipt for the shop alone, and is over', async () => {
    const { id } = (await send('POST /shop/payments', '', order)) as { id: string };
    const answer = { challengeId: 'c-1', response: {} };
    await assert.rejects(send('POST /api/payments/:id', id, answer), hasCode('challenge-spent'));
    await send('POST /api/payments/:id/challenge', id, {});
    assert.deepEqual(await send('POST /api/payments/:id', id, answer), {
      returnUrl: 'http://localhost:3001/?order=o-1',
    });
    assert.deepEqual(await send('GET /shop/payments/:id', id, {}), { state: 'confirmed', receipt: 'a receipt' });
    assert.equal((await send('GET /api/payments/:id', id, {}))['receipt'], undefined);
    for (const route of [
      'POST /api/payments/:id/challenge',
      'POST /api/payments/:id/cancel',
      'POST /shop/payments/:id',
    ])
      await assert.rejects(send(route, id, answer), hasCode('payment-closed'));
  });

  await it('stays cancelled when the user has cancelled before Passkey Manager answers', async () => {
    const { id } = (await send('POST /shop/payments', '', order)) as { id: string };
    await send('POST /api/payments/:id/challenge', id, {});
    const confirmed = send('POST /api/payments/:id', id, { challengeId: 'c-1', response: {} });
    await send('POST /api/payments/:id/cancel', id, {});
    await assert.rejects(confirmed, hasCode('payment-closed'));
    assert.deepEqual(await send('GET /shop/payments/:id', id, {}), { state: 'cancelled', receipt: undefined });
  });

  await it('is unknown under another id', async () => {
    await assert.rejects(send('GET /api/payments/:id', 'other', {}), hasCode('payment-unknown'));
  });
});
