import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { PasskeyManager } from '@passkey-manager/client';
import { Stage } from './stage.ts';

await test('A passkey that is revoked elsewhere', async (suite) => {
  const stage = await Stage.set();
  suite.after(() => stage.strike());
  const { page, dataDir } = stage;

  await suite.test('ends the session of its user within two seconds', async () => {
    await page.goto(stage.origin);
    await page.getByRole('tab', { name: 'Create account' }).click();
    await page.getByLabel('Your name').fill('Ada Lovelace');
    await page.getByLabel('E-mail').and(page.locator(':visible')).fill('ada@example.com');
    await page.getByLabel('Password').and(page.locator(':visible')).fill('correct horse battery');
    await page.getByRole('tabpanel').getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('button', { name: 'Create a passkey' }).click();
    await page.getByText('Your passkey is ready').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You signed in with your passkey').waitFor();

    await stage.offerAutofill(false);
    const file = (end: string) => join(dataDir, 'pki', end);
    const files = { certFile: file('auth-service.crt'), keyFile: file('auth-service.key'), caFile: file('ca.crt') };
    const operator = new PasskeyManager({ url: stage.passkeyManagerUrl, ...files });
    suite.after(() => {
      operator.close();
    });
    const { data } = await operator.listCredentials({ rpId: 'localhost' });
    await operator.revokeCredential(data[0]!.id, 'the laptop was stolen');
    const revoked = performance.now();
    await page.getByRole('heading', { name: 'Sign in without a password' }).waitFor();
    const ms = performance.now() - revoked;
    assert.ok(ms < 2_000, `${String(ms)} ms`);
  });
});
