import 'reflect-metadata';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Party, refusal, Site } from './site.ts';
import { findFreePorts, Stage } from './stage.ts';

const NEW = 'login.bank-new.example';

await test('The domain changes, in a browser', async (suite) => {
  const site = await Site.open();
  suite.after(() => site.close());

  await suite.test(
    'an old passkey works on a page of the new domain until the end, and a new one takes over',
    async () => {
      const [origin, old] = [`https://${NEW}`, await site.party()];
      await old.register('ada');
      const settings = { name: 'Bank', origins: [`https://${old.rpId}`, origin] };
      await site.operator.putRelyingParty(NEW, { name: 'Bank', origins: [origin] });
      const stored = await site.operator.putRelyingParty(old.rpId, { ...settings, successor: { rpId: NEW } });
      assert.deepEqual('warnings' in stored && stored.warnings, []);

      await site.page.goto(origin);
      assert.match(await old.authenticate().then(({ userId }) => userId, String), /SecurityError/);
      site.relate(old.rpId, await site.operator.getRelatedOrigins(old.rpId));
      await site.page.goto(origin);
      const before = await old.authenticate();
      assert.deepEqual(before.migration, { successor: NEW, endsAt: null, hasPasskey: false });

      const next = new Party(site, NEW, old.device);
      await next.register(before.userId);
      assert.equal((await old.authenticate()).migration?.hasPasskey, true);
      assert.equal((await next.authenticate()).migration, undefined);

      const ended = { rpId: NEW, endsAt: new Date().toISOString() };
      await site.operator.putRelyingParty(old.rpId, { ...settings, successor: ended });
      assert.match(String(await refusal(old.authenticate())), /has ended/);
      assert.equal((await next.authenticate()).userId, 'ada');
    },
  );
});

await test('The example asks for a passkey of the new domain', async (suite) => {
  const stage = await Stage.set();
  suite.after(() => stage.strike());
  const { page } = stage;
  const [port] = await findFreePorts(1);
  const [former, present] = ['login.bank.localhost', 'bank.localhost'];
  const origin = `http://${former}:${String(port)}`;
  const operator = stage.connectAs('operator');
  const press = (name: string | RegExp) => page.getByRole('button', { name, exact: true }).click();
  const field = (label: string) => page.getByLabel(label).and(page.locator(':visible'));
  const auth = { AUTH_SERVICE_HOST: former, AUTH_SERVICE_PORT: String(port) };

  await suite.test('after a sign-in with an old one, and not again', async () => {
    for (const rpId of [present, former]) await operator.putRelyingParty(rpId, { name: 'Bank', origins: [origin] });
    const before = await stage.launchAnother({ ...auth, AUTH_SERVICE_RP_ID: former });
    await page.goto(origin);
    await stage.offerAutofill(false);
    await page.reload();
    await page.getByRole('tab', { name: 'Create account' }).click();
    await field('Your name').fill('Ada Lovelace');
    await field('E-mail').fill('ada@bank.example');
    await field('Password').fill('correct horse battery');
    await page.getByRole('tabpanel').getByRole('button', { name: 'Create account' }).click();
    await press('Create a passkey');
    await page.getByText('Your passkey is ready').waitFor();
    await before.stop();

    await operator.putRelyingParty(former, { name: 'Bank', origins: [origin], successor: { rpId: present } });
    await stage.launchAnother({ ...auth, AUTH_SERVICE_RP_ID: present, AUTH_SERVICE_FORMER_RP_ID: former });
    await page.goto(origin);
    await press(`Sign in with a passkey of ${former}`);
    await page.getByText('Our address has changed.').waitFor();
    await press('Create a passkey');
    await page.getByText('Your passkey is ready').waitFor();
    await page.getByText('Our address has changed.').waitFor({ state: 'hidden' });

    await press('Sign out');
    await press(`Sign in with a passkey of ${former}`);
    await page.getByText('Hello, Ada Lovelace').waitFor();
    assert.equal(await page.getByText('Our address has changed.').isVisible(), false);
    await press('Sign out');
    await press('Sign in with a passkey');
    await page.getByText('Hello, Ada Lovelace').waitFor();
  });
});
