import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Stage } from './stage.ts';

const LONG_EMAIL = `${'ada.augusta.king.countess.of.lovelace'.repeat(3)}@example.com`;

await test('The page of the example, on a phone', async (suite) => {
  const stage = await Stage.set({ width: 390, height: 844 });
  suite.after(() => stage.strike());
  const { page, device } = stage;
  const press = (name: string | RegExp) => page.getByRole('button', { name }).click();
  const text = (words: string | RegExp) => page.getByText(words).waitFor();
  const messages = () => page.locator('#message').innerText();

  await suite.test('says nothing when the browser rejects the offer that nobody has asked for', async () => {
    await page.addInitScript(rejectPassiveOffers);
    await page.goto(stage.origin);
    await page.waitForFunction(() => sessionStorage.getItem('offers-rejected') === '1');
    assert.equal(await messages(), '');
    await page.getByLabel('E-mail').and(page.locator(':visible')).focus();
    await page.waitForFunction(() => sessionStorage.getItem('offers-rejected') === '2');
    assert.equal(await messages(), '');
    await page.evaluate(() => {
      sessionStorage.setItem('offers-rejected', 'off');
    });
  });

  await suite.test('is no wider than the screen, with a long e-mail, and its tabs stay on one line', async () => {
    await page.goto(stage.origin);
    const heights = await page.getByRole('tab').evaluateAll((tabs) => tabs.map((tab) => tab.clientHeight));
    assert.equal(new Set(heights).size, 1);
    assert.ok(heights[0]! < 50, `the tabs are ${String(heights[0])} px high`);
    assert.deepEqual(await overflow(page), []);
    await page.getByRole('tab', { name: 'Create account' }).click();
    await page.getByLabel('Your name').fill('Ada Lovelace');
    await page.getByLabel('E-mail').and(page.locator(':visible')).fill(LONG_EMAIL);
    await page.getByLabel('Password').and(page.locator(':visible')).fill('correct horse battery');
    await page.getByRole('tabpanel').getByRole('button', { name: 'Create account' }).click();
    await text('No passkey yet');
    assert.deepEqual(await overflow(page), []);
  });

  await suite.test('lets the user cancel while the device waits, at a registration', async () => {
    await device.confirm(false);
    await press('Create a passkey');
    await text('Waiting for your device');
    await press('Cancel');
    await text('The passkey was not used');
    await device.confirm(true);
    await press('Create a passkey');
    await text('Your passkey is ready');
    assert.equal(await page.getByText('Waiting for your device').count(), 0);
  });

  await suite.test('explains why a name of spaces alone is not taken', async () => {
    await press(/^Rename/);
    const input = page.getByLabel(/^New name/);
    await input.fill('   ');
    await press('Save');
    const told = () => input.evaluate((element) => (element as HTMLInputElement).validationMessage);
    assert.match(await told(), /at least one character that is not a space/);
    await input.fill(' Phone ');
    assert.equal(await told(), '');
    await press('Save');
    await page.getByRole('heading', { name: 'Phone' }).waitFor();
    await text(/was renamed to “Phone”/);
  });

  await suite.test('keeps a dialog away from the edges of the screen', async () => {
    await press('Revoke Phone');
    const box = (await page.getByRole('dialog').boundingBox())!;
    assert.ok(box.x >= 16 && box.x + box.width <= 390 - 16, JSON.stringify(box));
    await press('Keep it');
  });

  await suite.test('lets the user cancel while the device waits, at a sign-in', async () => {
    await stage.offerAutofill(false);
    await press('Sign out');
    await page.getByRole('heading', { name: 'Sign in without a password' }).waitFor();
    await device.confirm(false);
    await press('Sign in with a passkey');
    await text('Waiting for your device');
    await press('Cancel');
    await text('The passkey was not used');
    await device.confirm(true);
    await press('Sign in with a passkey');
    await text('You signed in with your passkey');
  });

  await suite.test('says before any click that the browser has no passkeys', async () => {
    await page.addInitScript(() => {
      Reflect.deleteProperty(window, 'PublicKeyCredential');
    });
    await page.goto(stage.origin);
    await text('This browser cannot create passkeys.');
    assert.ok(await page.getByRole('button', { name: 'Create a passkey' }).isDisabled());
    await press('Sign out');
    await text('This browser does not support passkeys.');
    assert.ok(await page.getByRole('button', { name: 'Sign in with a passkey' }).isDisabled());
    assert.equal(await messages(), '');
  });
});

/** Lists the elements that reach beyond the right edge of the screen. */
function overflow(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const wide = [...document.body.querySelectorAll('*')].filter((element) => {
      const { right, width } = element.getBoundingClientRect();
      return width > 0 && right > document.documentElement.clientWidth + 1;
    });
    return wide.map(({ tagName, id, className }) => `${tagName} ${id} ${className}`);
  });
}

/** Runs in the page, and makes the browser reject conditional requests, as some do while a page loads. */
function rejectPassiveOffers(): void {
  if (sessionStorage.getItem('offers-rejected') === 'off') return;
  sessionStorage.setItem('offers-rejected', '0');
  const { credentials } = navigator;
  const original = credentials.get.bind(credentials);
  credentials.get = (options) => {
    if (options?.mediation !== 'conditional') return original(options);
    sessionStorage.setItem('offers-rejected', String(Number(sessionStorage.getItem('offers-rejected')) + 1));
    return Promise.reject(new DOMException('The operation is not allowed.', 'NotAllowedError'));
  };
}
