import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from './stage.ts';

const EMAIL = 'ada@example.com';
const PASSWORD = 'correct horse battery';

await test('The life of a passkey, in a browser', async (life) => {
  const stage = await Stage.set();
  life.after(() => stage.strike());
  await stage.page.goto(stage.origin);

  const text = (words: string) => stage.page.getByText(words).waitFor();
  const press = (name: string | RegExp) => stage.page.getByRole('button', { name }).click();
  const signOut = async () => {
    await press('Sign out');
    await stage.page.getByRole('heading', { name: 'Sign in without a password' }).waitFor();
  };

  await life.test('begins with a user who signs up by password', async () => {
    const { page } = stage;
    await page.getByRole('tab', { name: 'Create account' }).click();
    await page.getByLabel('Your name').fill('Ada Lovelace');
    await page.getByLabel('E-mail').and(page.locator(':visible')).fill(EMAIL);
    await page.getByLabel('Password').and(page.locator(':visible')).fill(PASSWORD);
    await page.getByRole('tabpanel').getByRole('button', { name: 'Create account' }).click();
    await text('You signed in with your password');
    await text('No passkey yet');
  });

  await life.test('is created', async () => {
    await press('Create a passkey');
    await text('Your passkey is ready');
    await text('Not used yet');
    assert.equal((await stage.device.passkeys()).length, 1);
  });

  await life.test('signs in from the e-mail field, without a click', async () => {
    await press('Sign out');
    await text('You signed in with your passkey');
  });

  await life.test('signs in by the button, after the service has restarted', async () => {
    await stage.offerAutofill(false);
    await signOut();
    assert.equal(await stage.restartPasskeyManager(), 0);
    await press('Sign in with a passkey');
    await text('You signed in with your passkey');
  });

  await life.test('is renamed', async () => {
    const { page } = stage;
    await press(/^Rename/);
    await page.getByLabel(/^New name/).fill('Travel laptop');
    await press('Save');
    await page.getByRole('heading', { name: 'Travel laptop' }).waitFor();
  });

  await life.test('is suspended and reinstated', async () => {
    await press('Suspend Travel laptop');
    await text('“Travel laptop” is suspended');
    assert.equal((await stage.device.passkeys()).length, 1);
    await press('Reinstate Travel laptop');
    await text('“Travel laptop” is active again');
  });

  await life.test('is revoked, and the device is told to delete it', async () => {
    const [passkey] = await stage.device.passkeys();
    const deletion = stage.device.deletion();
    await press('Revoke Travel laptop');
    await press('Revoke the passkey');
    await text('“Travel laptop” is revoked');
    await deletion;
    assert.deepEqual(await stage.device.passkeys(), []);
    await stage.device.restore(passkey!);
  });

  await life.test('is refused from then on, and the page says why', async () => {
    await signOut();
    await press('Sign in with a passkey');
    await text('That passkey has been revoked');
    await text('Use another passkey or your password.');
  });

  await life.test('has left its story in the audit log', async () => {
    const { page, device } = stage;
    await device.clear();
    await page.getByLabel('E-mail').and(page.locator(':visible')).fill(EMAIL);
    await page.getByLabel('Password').and(page.locator(':visible')).fill(PASSWORD);
    await press('Sign in with your password');
    await text('What Passkey Manager has recorded about you.');
    const story = page.getByRole('region', { name: 'Audit' }).getByRole('listitem');
    await story.first().waitFor();
    const told = (await story.getByRole('paragraph').and(page.locator(':not(.facts)')).allTextContents()).reverse();
    assert.deepEqual(told, [
      '“Chrome on Linux” was created',
      '“Chrome on Linux” signed you in',
      '“Chrome on Linux” signed you in',
      '“Chrome on Linux” was renamed to “Travel laptop”',
      '“Travel laptop” was suspended',
      '“Travel laptop” was reinstated',
      '“Travel laptop” was revoked',
      '“Travel laptop” was refused at sign-in: the passkey has been revoked',
    ]);
    await page
      .getByRole('region', { name: 'Audit' })
      .getByText('In production, only an auditor can read this.')
      .waitFor();
  });
});
