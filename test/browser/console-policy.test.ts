import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsoleStage, NARROW, WIDE } from './console-stage.ts';
import { employ, importPasskeys } from './console-people.ts';

const RP = 'login.bank.example';
const GOOGLE = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const YUBIKEY = 'ee882879-721c-4913-9775-3dfcce97072a';
const HOSTILE = `<img src=x onerror="document.title='owned'">`;

await test('The policy of a relying party, in the console', async (suite) => {
  const stage = await ConsoleStage.set();
  suite.after(() => stage.strike());
  await employ(
    stage,
    [
      {
        name: 'lead',
        permissions: [
          ...['relying-parties:read', 'relying-parties:write', 'passkeys:read', 'passkeys:import'],
          ...['statistics:read', 'approvals:decide'],
        ],
      },
      { name: 'second', permissions: ['approvals:decide'] },
    ],
    ['relying-parties:write'],
  );
  const lead = stage.connectAs('lead');
  await lead.putRelyingParty(RP, { name: HOSTILE, origins: [`https://${RP}`] });
  await importPasskeys(lead, RP, [
    ...['ada', 'bob', 'eve'].map((userId) => ({ userId, name: 'Phone', aaguid: GOOGLE })),
    { userId: 'ada', name: 'Key', aaguid: YUBIKEY, backupEligible: false, backedUp: false },
  ]);
  const open = await stage.open('lead');
  const { page } = open;
  const goToParty = async (): Promise<void> => {
    await open.go('relying-parties', 'Relying parties');
    await page.getByRole('link', { name: RP }).click();
    await page.getByRole('heading', { level: 1, name: RP }).waitFor();
    await page.getByRole('heading', { name: 'What would happen if …' }).waitFor();
  };
  const setting = (title: string) => page.locator('details.setting', { hasText: title }).first();
  const openSetting = async (title: string): Promise<void> => {
    await setting(title).locator('> summary').click();
  };
  const review = page.getByRole('region', { name: 'Your change' });
  const askWhom = async (answer: RegExp): Promise<void> => {
    await review.getByRole('button', { name: 'Whom would this refuse?' }).click();
    await review.getByRole('heading', { name: answer }).waitFor();
  };
  const store = async (): Promise<void> => {
    await review.getByRole('button', { name: 'Store the change …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Store the change' }).click();
  };

  const answer = page.getByRole('region', { name: 'If we demanded device-bound passkeys' });
  const bar = page.getByRole('region', { name: 'Not stored yet' });
  const typeNumber = async (title: string, text: string): Promise<void> => {
    await setting(title).getByRole('spinbutton').fill(text);
    await setting(title).getByRole('spinbutton').press('Tab');
  };

  await suite.test('answers in one step what would happen if device-bound passkeys were demanded', async () => {
    await goToParty();
    await page.getByRole('button', { name: 'we demanded device-bound passkeys' }).click();
    await answer.getByRole('heading', { name: 'This would refuse 3 of 4 active passkeys.' }).waitFor();
    const text = await answer.innerText();
    assert.match(text, /Google Password Manager\s+ea9b8d66.*3\s+backup-state-denied/s);
    assert.match(text, /\/policy\/backup\s+any\s+device-bound/);
    // What the question adds of itself, and what would be so without it.
    assert.match(text, /the question also asks browsers for one.*\/policy\/attestation\/conveyance\s+none\s+direct/s);
    assert.match(text, /Without what the question adds.*no passkey can be registered/s);
    assert.match(text, /Who can no longer do what\s+\S/);
    assert.equal(await page.getByRole('button', { name: /Store/ }).count(), 0);
    assert.equal(await answer.locator('button.primary').count(), 0);
    const { version, policy } = await lead.getRelyingParty(RP);
    assert.deepEqual([version, policy.backup], [1, 'any']);
    assert.equal(await page.locator('img').count(), 0);
    await answer.getByRole('button', { name: 'Close the answer' }).click();
    await answer.waitFor({ state: 'detached' });
  });

  await suite.test(
    'keeps the change of its author beside a question, and while they look at another view',
    async () => {
      await goToParty();
      await openSetting('Life of a challenge');
      await typeNumber('Life of a challenge', '90');
      await bar.getByText('Your change: one setting, not stored').waitFor();
      await page.getByRole('button', { name: 'we demanded device-bound passkeys' }).click();
      await answer.getByRole('heading', { name: /This would refuse/ }).waitFor();
      assert.match(await review.innerText(), /Life of a challenge\s.*90 seconds/s);
      assert.doesNotMatch(await review.innerText(), /device-bound/);
      await open.go('users', 'Users');
      await goToParty();
      assert.match(await review.innerText(), /Life of a challenge\s.*90 seconds/s);
      await page.getByRole('button', { name: 'we demanded device-bound passkeys' }).click();
      await answer.getByRole('button', { name: 'Add it to your change' }).click();
      await bar.getByText('Your change: 3 settings, not stored').waitFor();
      await page.setViewportSize(NARROW);
      await page.evaluate(() => {
        scrollTo(0, document.body.scrollHeight / 2);
      });
      await bar.getByRole('button', { name: 'See your change' }).click();
      const after = review.locator('td', { hasText: 'device-bound' });
      const { x, width } = (await after.boundingBox())!;
      assert.ok(x >= 0 && x + width <= NARROW.width, 'the value is in sight');
      assert.ok(await bar.getByRole('button', { name: 'Drop it' }).isVisible());
      await page.setViewportSize(WIDE);
    },
  );

  await suite.test(
    'names in words what is stored and how many passkeys it refuses, with a button of danger',
    async () => {
      await askWhom(/This would refuse 3 of 4/);
      await review.getByRole('button', { name: 'Store the change …' }).click();
      const dialog = page.getByRole('dialog');
      const text = await dialog.innerText();
      assert.match(text, /3 of 4 passkeys are refused from then on\./);
      assert.match(text, /Synced or device-bound: any → device-bound/);
      assert.doesNotMatch(text, /\/policy\//);
      assert.equal(await dialog.getByRole('button', { name: 'Store the change' }).getAttribute('class'), 'danger');
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      await bar.getByRole('button', { name: 'Drop it' }).click();
      await review.waitFor({ state: 'detached' });
    },
  );

  await suite.test(
    'says at the field that a number is none, and neither sends it nor takes nothing for 0',
    async () => {
      await goToParty();
      await openSetting('Life of a challenge');
      for (const text of ['', '0', '1.5', '999999999']) {
        await typeNumber('Life of a challenge', text);
        await setting('Life of a challenge').getByText('Give a whole number from').waitFor();
        assert.equal(await review.count(), 0);
      }
      await typeNumber('Life of a challenge', '100');
      await setting('Life of a challenge').getByText('Give a whole number from').waitFor({ state: 'detached' });
      await review.getByRole('button', { name: 'Drop the change' }).click();
      await openSetting('Life of a challenge');
    },
  );

  await suite.test('explains each choice: what it does, what it breaks, and the default', async () => {
    await openSetting('User verification');
    const text = await setting('User verification').innerText();
    assert.match(text, /required \(default\) – .*PIN or biometrics.*can neither register nor sign in/s);
    assert.match(text, /Counts for new passkeys, and for those that exist/);
    await openSetting('User verification');
  });

  await suite.test('stores a change only after it was asked whom it refuses', async () => {
    await openSetting('Life of a challenge');
    await setting('Life of a challenge').getByRole('spinbutton').fill('120');
    await setting('Life of a challenge').getByRole('spinbutton').press('Tab');
    assert.equal(await review.getByRole('button', { name: /Store/ }).count(), 0);
    await askWhom(/This would refuse none of 4 active passkeys/);
    await store();
    await page.getByText('The change is stored.').waitFor();
    await page.getByText('version 2').waitFor();
    const { version, policy } = await lead.getRelyingParty(RP);
    assert.deepEqual([version, policy.challengeTtlSeconds], [2, 120]);
  });

  await suite.test('names the setting that the service refuses, and stores nothing', async () => {
    await openSetting('Origins');
    await setting('Origins').getByRole('textbox').fill(`https://${RP}\nhttps://not an origin`);
    await setting('Origins').getByRole('textbox').press('Tab');
    await review.getByRole('button', { name: 'Whom would this refuse?' }).click();
    assert.match(await review.getByRole('alert').innerText(), /\/origins/);
    assert.equal(await review.getByRole('button', { name: 'Try again' }).count(), 0);
    await review.getByRole('button', { name: 'Origins' }).click();
    assert.ok(
      await setting('Origins')
        .getByRole('textbox')
        .evaluate((field) => field === document.activeElement),
    );
    assert.equal(await review.getByRole('button', { name: /Store/ }).count(), 0);
    await review.getByRole('button', { name: 'Drop the change' }).click();
    assert.equal((await lead.getRelyingParty(RP)).version, 2);
  });

  await suite.test('tells that a change that demands less waits for a second identity', async () => {
    await goToParty();
    await openSetting('User verification');
    await setting('User verification').getByLabel('preferred').check();
    await review.getByText('demands less').waitFor();
    await askWhom(/This would refuse none/);
    await review.getByRole('button', { name: 'Store the change …' }).click();
    await page.getByRole('dialog').getByText('waits for the approval of a second identity').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Store the change' }).click();
    await page.getByRole('heading', { name: 'The change waits for a second identity' }).waitFor();
    assert.equal((await lead.getRelyingParty(RP)).policy.userVerification, 'required');
    const [waiting] = (await lead.listApprovals({ status: 'pending' })).data;
    await page.getByText(waiting!.id).waitFor();
    await stage.connectAs('second').approveRequest(waiting!.id, 'change 4711');
    await goToParty();
    await page.getByText('version 3').waitFor();
    await setting('User verification').getByText('preferred', { exact: true }).first().waitFor();
  });

  await suite.test('shows what somebody else has changed meanwhile, and keeps the change on top of it', async () => {
    await goToParty();
    await openSetting('Passkeys of a user');
    await setting('Passkeys of a user').getByRole('spinbutton').fill('5');
    await setting('Passkeys of a user').getByRole('spinbutton').press('Tab');
    const theirs = await lead.getRelyingParty(RP);
    await lead.putRelyingParty(RP, { ...theirs, policy: { ...theirs.policy, challengeTtlSeconds: 60 } });
    await review.getByRole('button', { name: 'Whom would this refuse?' }).click();
    await review.getByText('Somebody else has changed the relying party meanwhile').waitFor();
    assert.match(
      await review.innerText(),
      /Life of a challenge\s+\/policy\/challengeTtlSeconds\s+120 seconds\s+60 seconds/,
    );
    await review.getByRole('button', { name: 'Take their changes over, and keep mine' }).click();
    await askWhom(/This would refuse none/);
    await store();
    await page.getByText('version 5').waitFor();
    const { policy } = await lead.getRelyingParty(RP);
    assert.deepEqual([policy.challengeTtlSeconds, policy.maxCredentialsPerUser], [60, 5]);
  });

  await suite.test('edits purposes, and says whom one of them would refuse', async () => {
    await goToParty();
    await openSetting('Purposes');
    await setting('Purposes').getByLabel('Name of another purpose').fill('pay');
    await setting('Purposes').getByRole('button', { name: 'Add' }).click();
    await page.getByLabel('Synced or device-bound for pay').selectOption('device-bound');
    await askWhom(/This would refuse none of 4/);
    assert.match(await review.innerText(), /For the purpose pay: backup-state-denied/);
    await store();
    await page.getByText('version 6').waitFor();
    assert.deepEqual((await lead.getRelyingParty(RP)).policy.purposes, { pay: { backup: 'device-bound' } });
  });

  await suite.test('shows how many users have moved to a successor', async () => {
    const next = 'login.bank.test';
    await lead.putRelyingParty('old.bank.example', {
      ...{ name: 'Old', origins: ['https://old.bank.example'] },
      successor: { rpId: next, endsAt: '2099-01-01T00:00:00.000Z' },
    });
    await open.go('relying-parties/old.bank.example', 'old.bank.example');
    await page.getByRole('heading', { name: `Users who have moved to ${next}` }).waitFor();
    await page.getByText(/first count is under way|would be shut out/).waitFor();
    await page.getByText(`moves to ${next}`).waitFor();
  });

  for (const theme of ['Light', 'Dark'] as const)
    await suite.test(`bars nobody, in ${theme.toLowerCase()} colours, on a desk and on a phone`, async () => {
      await open.chooseColours(theme);
      await goToParty();
      assert.deepEqual(await open.findBarriers(), []);
      await page.getByRole('button', { name: 'we demanded device-bound passkeys' }).click();
      await answer.getByRole('heading', { name: /This would refuse/ }).waitFor();
      for (const summary of await page.locator('details.setting > summary').all()) await summary.click();
      for (const size of [WIDE, NARROW]) {
        await page.setViewportSize(size);
        assert.deepEqual(await open.findBarriers(), []);
        assert.deepEqual(await open.findOverflow(), []);
      }
      await page.setViewportSize(WIDE);
    });

  await suite.test('breaks no content security policy, and no script fails', async () => {
    assert.deepEqual(open.faults, []);
    assert.doesNotMatch(await page.title(), /owned/);
  });
});
