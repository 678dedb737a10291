import { fileURLToPath } from 'node:url';
import { Stage } from './stage.ts';

/** Makes docs/page.png again: `node test/browser/picture.ts` */
const stage = await Stage.set({ width: 1120, height: 690, pixels: 1.5 });
try {
  const { page } = stage;
  const press = (name: string | RegExp) => page.getByRole('button', { name }).click();
  const rename = async (former: string, name: string) => {
    await press(`Rename ${former}`);
    await page.getByLabel(/^New name/).fill(name);
    await press('Save');
    await page.getByRole('heading', { name }).waitFor();
  };

  await page.goto(stage.origin);
  await page.getByRole('tab', { name: 'Create account' }).click();
  await page.locator('#sign-up-name').fill('Ada Lovelace');
  await page.locator('#sign-up-email').fill('ada@example.com');
  await page.locator('#sign-up-password').fill('correct horse battery');
  await page.locator('#sign-up-form').getByRole('button').click();
  await press('Create a passkey');
  await rename('Chrome on Linux', 'Ada’s laptop');
  await press('Sign out');
  await page.getByText('You signed in with your passkey').waitFor();
  await stage.device.replace('usb');
  await press('Create a passkey');
  await rename('Chrome on Linux', 'Blue security key');
  await page.getByText('was renamed to “Blue').waitFor();
  await page.mouse.move(0, 0);
  // The gradient alone would double the size of the file.
  await page.evaluate(() => (document.body.style.background = 'var(--bg)'));
  await page.screenshot({
    path: fileURLToPath(new URL('../../docs/page.png', import.meta.url)),
    animations: 'disabled',
  });
} finally {
  await stage.strike();
}
