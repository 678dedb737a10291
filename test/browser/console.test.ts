import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsoleStage, NARROW } from './console-stage.ts';

await test('The console, opened by an auditor', async (suite) => {
  const stage = await ConsoleStage.set();
  suite.after(() => stage.strike());
  await stage
    .connectAs('operator')
    .putRelyingParty('shop.example', { name: 'Shop', origins: ['https://shop.example'] });
  await stage
    .connectAs('auth-service')
    .issueAuthenticationChallenge({ rpId: 'nowhere.example' })
    .catch(() => undefined);
  const auditor = await stage.open('auditor');
  const { page } = auditor;

  await suite.test('shows who looks, and the events of the log', async () => {
    await page.getByRole('heading', { level: 1, name: 'Events' }).waitFor();
    assert.match(await page.locator('.caller').innerText(), /^auditor at 127\.0\.0\.1:\d+$/);
    await page.getByRole('link', { name: 'operator created the relying party shop.example' }).waitFor();
    assert.equal(new URL(page.url()).search, '');
  });

  await suite.test(
    'narrows the events by the filters, keeps them in the address, and names what is wrong with one',
    async () => {
      await page.getByLabel('Type').selectOption('relying-party.create');
      await page.getByLabel('Actor').fill('spiffe://passkey-manager.local/operator');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText('1 events, all that fit.').waitFor();
      assert.match(page.url(), /#\/events\?type=relying-party\.create&actor=spiffe%3A%2F%2F/);
      await page.goBack();
      await page.getByText('auditor read the audit log').first().waitFor();
      await page.getByRole('textbox', { name: 'Credential' }).fill('!!');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByRole('alert').waitFor();
      assert.match(await page.getByRole('alert').innerText(), /\/credentialId/);
      assert.ok(await page.locator('input[name=credentialId][aria-invalid=true] + .fault').isVisible());
      await page.getByRole('button', { name: 'Clear' }).click();
    },
  );

  await suite.test('opens once: a second visit of the address is told', async () => {
    const second = await page.context().newPage();
    await second.goto(auditor.address);
    await second.getByRole('heading', { name: 'This address has been used' }).waitFor();
    await second.goto(auditor.origin);
    await second.getByRole('heading', { level: 1, name: 'Events' }).waitFor();
    await second.close();
  });

  await suite.test(
    'has a port of its own for the service and the certificate, and another one beside itself',
    async () => {
      const { port } = new URL(auditor.origin);
      assert.ok(Number(port) >= 20_000 && Number(port) < 30_000, port);
      const beside = await stage.open('auditor');
      assert.notEqual(new URL(beside.origin).port, port);
      await beside.page.close();
    },
  );

  await suite.test('says that nothing fits, and what to do', async () => {
    await auditor.go('events?userId=nobody', 'Events');
    await page.getByText('No event fits.').waitFor();
  });

  await suite.test(
    'puts no view into the navigation that the policy does not open, and says what it lacks',
    async () => {
      const other = await stage.open('operator');
      await other.go('events', 'Events');
      await other.page.getByText('needs audit:read').waitFor();
      assert.equal(await other.page.getByRole('link', { name: 'Events' }).count(), 0);
      assert.deepEqual(other.faults, []);
    },
  );

  await suite.test('says why it shows nothing to an identity in no policy', async () => {
    const stranger = await stage.open('stranger');
    await stranger.page.getByRole('alert').waitFor();
    assert.match(await stranger.page.getByRole('alert').innerText(), /permission-denied/);
  });

  for (const theme of ['Light', 'Dark'] as const) {
    await suite.test(`bars nobody, in ${theme.toLowerCase()} colours, on a desk and on a phone`, async () => {
      await auditor.chooseColours(theme);
      await auditor.go('events', 'Events');
      await page.getByText('operator created').waitFor();
      assert.deepEqual(await auditor.findBarriers(), []);
      const { width, height } = page.viewportSize()!;
      await page.setViewportSize(NARROW);
      assert.deepEqual(await auditor.findBarriers(), []);
      assert.deepEqual(await auditor.findOverflow(), []);
      await page.setViewportSize({ width, height });
    });
  }

  await suite.test('breaks no content security policy, and no script fails', () => {
    assert.deepEqual(auditor.faults, []);
  });
});
