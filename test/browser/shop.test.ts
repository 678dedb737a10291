import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { CDPSession, Page } from 'playwright-core';
import { Stage } from './stage.ts';

const EMAIL = 'ada@example.com';
const PHONE = { width: 390, height: 844 };

await test('The shop, in a browser that confirms payments', async (suite) => {
  const stage = await Stage.set(PHONE, ['SecurePaymentConfirmationBrowser']);
  suite.after(() => stage.strike());
  const { page } = stage;
  const session = await page.context().newCDPSession(page);
  const text = (words: string | RegExp) => page.getByText(words).waitFor();
  const press = (name: string | RegExp) => page.getByRole('button', { name }).click();

  await suite.test('is paid in a window of the browser, and shows the receipt in words', async () => {
    await signUp(stage);
    assert.ok(await page.getByLabel('A new passkey also confirms payments').isChecked());
    await press('Create a passkey');
    await text('Your passkey is ready');
    await answerPayments(session, 'autoAccept');
    await buy(stage);
    await text('Thank you');
    assert.match(await valueOf(page, 'Who'), /^ada@example\.com, known to Example account as [0-9a-f-]{36}$/);
    assert.match(
      await valueOf(page, 'What'),
      /^€18\.00 to Corner Shop for Coffee beans, 500 g, .* window of the browser/,
    );
    assert.match(await valueOf(page, 'When'), /The receipt is good until/);
    assert.match(await valueOf(page, 'How sure'), /^The device has the passkey, and checked a PIN/);
    await page.reload();
    await text('Thank you');
    await page.goto(stage.origin);
    await text(/confirmed a payment in a shop/);
    await page.goBack();
  });

  await suite.test('verifies the receipt without Passkey Manager', async () => {
    await stage.withoutPasskeyManager(async () => {
      await press('Verify this receipt');
      await text(/It is genuine, for this shop and this payment/);
    });
  });

  for (const [title, words, change] of [
    ['altered', /It was altered, or something else than Passkey Manager signed it/, alter],
    ['expired', /It has expired: a receipt is good for a minute/, { exp: 1, iat: 1 }],
    ['for another audience', /It is for another service, not for this shop/, { aud: 'https://other.example' }],
    ['for another payment', /It is genuine, but for another payment/, { transaction_digest: 'x' }],
    ['none', /It is no receipt/, () => 'Thank you'],
  ] as const) {
    await suite.test(`says in words that a receipt proves nothing that is ${title}`, async () => {
      const field = page.getByLabel('The receipt, as Passkey Manager signed it');
      const receipt = await field.inputValue();
      const changed = typeof change === 'function' ? change(receipt) : await signAgain(stage, receipt, change);
      await field.fill(changed);
      await press('Verify this receipt');
      await text(words);
      await field.fill(receipt);
    });
  }

  for (const mode of ['autoReject', 'autoOptOut', 'autoChooseToAuthAnotherWay'] as const) {
    await suite.test(`charges nothing when the user cancels (${mode})`, async () => {
      await answerPayments(session, mode);
      await buy(stage);
      await text('You did not pay');
      assert.ok(await page.getByRole('button', { name: 'Pay with your passkey' }).isEnabled());
    });
  }

  await suite.test('names what its page changed after the challenge', async () => {
    await answerPayments(session, 'autoAccept');
    await page.addInitScript(payLess);
    await buy(stage);
    await text('You saw something else than was agreed: the amount differs.');
    assert.equal(await page.getByText('Thank you').isVisible(), false);
  });

  await suite.test('is no wider than a phone', async () => {
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
  });
});

await test('The shop, in a browser that does not confirm payments', async (suite) => {
  const stage = await Stage.set(PHONE);
  suite.after(() => stage.strike());
  const { page, device } = stage;
  const text = (words: string | RegExp) => page.getByText(words).waitFor();
  const press = (name: string | RegExp) => page.getByRole('button', { name }).click();

  await suite.test('names an account that does not exist', async () => {
    await buy(stage);
    await text('There is no such account');
  });

  await suite.test('is paid on the page of auth-service, which shows the payment', async () => {
    await signUp(stage);
    assert.equal(await page.getByLabel('A new passkey also confirms payments').isVisible(), false);
    await press('Create a passkey');
    await text('Your passkey is ready');
    await buy(stage);
    await text('Confirm this payment?');
    assert.equal(new URL(page.url()).origin, stage.origin);
    assert.equal(await valueOf(page, 'Amount'), '€18.00');
    assert.equal(await valueOf(page, 'To'), 'Corner Shop');
    assert.equal(await valueOf(page, 'For'), 'Coffee beans, 500 g');
    assert.match(await valueOf(page, 'From'), /ada@example\.com$/);
    await press('Confirm with your passkey');
    await text('Thank you');
    assert.equal(new URL(page.url()).origin, stage.shopOrigin);
    assert.match(await valueOf(page, 'What'), /on the page of Example account/);
    await press('Verify this receipt');
    await text(/It is genuine, for this shop and this payment/);
  });

  await suite.test('is not paid when the user cancels at the device, and then on the page', async () => {
    await device.confirm(false);
    await buy(stage);
    await press('Confirm with your passkey');
    await text('Waiting for your device');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await text('The passkey was not used');
    await press('Do not pay');
    await text('You did not pay');
    assert.equal(await page.getByLabel('E-mail of your example account').inputValue(), EMAIL);
    await device.confirm(true);
  });

  await suite.test('is not paid when the user comes back without an answer', async () => {
    await buy(stage);
    await text('Confirm this payment?');
    const id = new URL(page.url()).searchParams.get('payment')!;
    const { returnUrl } = (await page.evaluate(
      async (path) => (await fetch(path)).json() as Promise<unknown>,
      `/api/payments/${id}`,
    )) as { returnUrl: string };
    await page.goto(returnUrl);
    await text('You have not paid yet');
  });

  await suite.test('says that a payment does not exist', async () => {
    await page.goto(`${stage.origin}/confirm.html?payment=0`);
    await text('There is no such payment');
  });

  await suite.test('lets nobody ask for payments in its name', async () => {
    const { status } = await fetch(`${stage.origin}/shop/payments`, {
      method: 'POST',
      headers: { authorization: 'Bearer wrong', 'content-type': 'application/json' },
      body: JSON.stringify({ email: EMAIL, order: '1', item: 'Coffee', value: '18.00' }),
    });
    assert.equal(status, 401);
  });
});

async function signUp({ page, origin }: Stage): Promise<void> {
  await page.goto(origin);
  await page.getByRole('tab', { name: 'Create account' }).click();
  await page.locator('#sign-up-name').fill('Ada Lovelace');
  await page.locator('#sign-up-email').fill(EMAIL);
  await page.locator('#sign-up-password').fill('correct horse battery');
  await page.locator('#sign-up-form').getByRole('button').click();
  await page.getByText('No passkey yet').waitFor();
}

async function buy({ page, shopOrigin }: Stage): Promise<void> {
  await page.goto(shopOrigin);
  await page.getByLabel('E-mail of your example account').fill(EMAIL);
  await page.getByRole('button', { name: 'Pay with your passkey' }).click();
}

function valueOf(page: Page, term: string): Promise<string> {
  return page
    .locator('dt', { hasText: new RegExp(`^${term}$`) })
    .locator('+ dd')
    .innerText();
}

/** Decides how the browser's window for payments is answered. */
async function answerPayments(
  session: CDPSession,
  mode: 'autoAccept' | 'autoReject' | 'autoOptOut' | 'autoChooseToAuthAnotherWay',
): Promise<void> {
  await session.send('Page.setSPCTransactionMode', { mode });
}

/** Runs in the page, and asks the user for another amount than the service knows. */
function payLess(): void {
  const Original = PaymentRequest;
  window.PaymentRequest = class extends Original {
    constructor(methods: PaymentMethodData[], details: PaymentDetailsInit) {
      super(methods, { total: { ...details.total, amount: { ...details.total.amount, value: '1.00' } } });
    }
  };
}

function alter(receipt: string): string {
  const [header, , signature] = receipt.split('.');
  const claims = { ...decodeJwt(receipt), sub: 'somebody else' };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

/** Signs other claims with the real key, as the service would. */
function signAgain({ dataDir }: Stage, receipt: string, claims: object): Promise<string> {
  const { alg, kid } = decodeProtectedHeader(receipt);
  const key = createPrivateKey(readFileSync(join(dataDir, 'receipt.key')));
  return new SignJWT({ ...decodeJwt(receipt), ...claims })
    .setProtectedHeader({ alg: alg!, kid: kid!, typ: 'passkey-receipt+jwt' })
    .sign(key);
}
