import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsoleStage, NARROW, type OpenConsole, WIDE } from './console-stage.ts';
import { employ, failToSignIn, type ImportedPasskey, importPasskeys } from './console-people.ts';

const RP = 'login.bank.example';
const HOSTILE = `<img src=x onerror="document.title='owned'">\u202e`;
/** How the page shows it: the character that would turn the order of the words is a code. */
const VISIBLE = HOSTILE.replace('\u202e', '\\u{202e}');
const [GOOGLE, YUBIKEY] = ['ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4', 'ee882879-721c-4913-9775-3dfcce97072a'];
const BOUND = { aaguid: YUBIKEY, backupEligible: false, backedUp: false };

const PASSKEYS: readonly ImportedPasskey[] = [
  { userId: 'ada', name: 'Ada’s phone', aaguid: GOOGLE, status: 'suspended', statusReason: HOSTILE },
  { userId: 'bob', name: 'Bob’s phone', aaguid: GOOGLE },
  { userId: 'bob', name: 'Bob’s key', ...BOUND },
  { userId: HOSTILE, name: HOSTILE, aaguid: GOOGLE },
  { userId: 'eve', name: 'One', aaguid: GOOGLE },
  { userId: 'eve', name: 'Two', ...BOUND },
];

await test('The console, opened by those who operate the service', async (suite) => {
  const stage = await ConsoleStage.set();
  suite.after(() => stage.strike());
  await employ(
    stage,
    [
      {
        name: 'lead',
        permissions: [
          ...['relying-parties:read', 'relying-parties:write', 'passkeys:read', 'passkeys:manage', 'passkeys:import'],
          ...['statistics:read', 'audit:read'],
        ],
      },
      { name: 'support', permissions: ['passkeys:read', 'passkeys:manage', 'relying-parties:read', 'audit:read'] },
      // As in development: it may look at passkeys, and may not change them.
      { name: 'operator', permissions: ['relying-parties:read', 'passkeys:read', 'statistics:read'] },
      { name: 'reviewer', permissions: ['statistics:read'] },
      { name: 'auth-service', permissions: ['passkeys:authenticate', 'passkeys:register'] },
      { name: 'second', permissions: ['approvals:decide'] },
    ],
    ['relying-parties:write'],
  );
  const lead = stage.connectAs('lead');
  await lead.putRelyingParty(RP, { name: 'Bank\u202e', origins: [`https://${RP}`] });
  const ids = await importPasskeys(lead, RP, PASSKEYS);
  const auth = stage.connectAs('auth-service');
  assert.equal(await failToSignIn(auth, RP, 'ada', ids[0]!), 'credential-suspended');
  assert.equal(await failToSignIn(auth, RP, 'bob', ids[1]!), 'malformed');
  await until(async () => {
    const { ceremonies } = await lead.getStatistics({ rpId: RP });
    return ceremonies.byHour.some(({ refused }) => refused['malformed'] === 1);
  });
  const [asLead, asSupport, asOperator] = [
    await stage.open('lead'),
    await stage.open('support'),
    await stage.open('operator'),
  ];

  await suite.test('shows ceremonies over time, with the figures of each plot as a table', async () => {
    const { page } = asLead;
    await asLead.go(`ceremonies?rpId=${RP}`, 'Ceremonies');
    await page.getByText('Counted up to').waitFor();
    assert.match(await page.locator('.tiles').innerText(), /Refused\s+2\s+100 % of the answers/);
    assert.equal(await page.locator('.plot canvas').count(), 2);
    const figures = page.getByRole('region', { name: 'Refusals by reason, as a table' });
    await page.getByText('The figures as a table').last().click();
    assert.deepEqual(await figures.getByRole('columnheader').allInnerTexts(), [
      'From',
      'credential-suspended',
      'malformed',
    ]);
    assert.equal(await figures.getByRole('row').count(), 25);
    await page.getByLabel('Ceremony').selectOption('registration');
    await page.getByText('No ceremony was refused in this time.').waitFor();
    assert.match(page.url(), /ceremony=registration/);
  });

  await suite.test('explains each reason, with its count, its clause and its page of the runbook', async () => {
    const { page } = asLead;
    await asLead.go(`ceremonies?rpId=${RP}`, 'Ceremonies');
    await page.getByRole('link', { name: 'malformed' }).click();
    await page.getByRole('heading', { level: 1, name: 'Refusals' }).waitFor();
    const explained = page.locator('details[open]');
    await explained.waitFor();
    const text = await explained.innerText();
    assert.match(text, /^malformed\s+1\s+50 %/);
    assert.match(text, /cannot decode the answer.*PublicKeyCredential\.toJSON\(\).*§7\.2 step 7.*docs\/runbook\.md#/s);
    assert.ok((await page.locator('details.card').count()) >= 40);
  });

  await suite.test('asks for the RP ID where the policy lists no relying parties', async () => {
    const reviewer = await stage.open('reviewer');
    const { page } = reviewer;
    await page.getByText('Which relying party?').waitFor();
    assert.deepEqual(await page.getByRole('navigation').getByRole('link').allInnerTexts(), [
      ...['Ceremonies', 'Refusals', 'Models', 'Health and keys'],
    ]);
    assert.deepEqual(await reviewer.findBarriers(), []);
    await page.getByLabel('Relying party').fill(RP);
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('Counted up to').waitFor();
    await reviewer.go('ceremonies?rpId=nowhere.example', 'Ceremonies');
    assert.match(await page.getByRole('alert').innerText(), /relying-party-unknown/);
    await page.getByLabel('Relying party').fill(RP);
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('Counted up to').waitFor();
    assert.deepEqual(reviewer.faults, []);
  });

  await suite.test('counts passkeys by model and backup state', async () => {
    await asLead.go(`models?rpId=${RP}`, 'Models and backup state');
    await asLead.page.getByText('By backup state').waitFor();
    const rows = await asLead.page.getByRole('row').allInnerTexts();
    assert.ok(rows.some((row) => /Google Password Manager.*4\s+67 %/s.test(row)));
    assert.ok(rows.some((row) => /bound to its device\s+2\s+33 %/s.test(row)));
  });

  await suite.test(
    'says why a user cannot sign in: the state, the reason that was given, and the last refusal',
    async () => {
      const { page } = asSupport;
      await asSupport.go('users', 'Users');
      await page.getByLabel('Relying party').selectOption(RP);
      await page.getByLabel('User id').fill('ada');
      await page.getByRole('button', { name: 'Show the passkeys' }).click();
      await page.getByRole('button', { name: 'Find out' }).click();
      const box = page.getByRole('region', { name: 'Why can this user not sign in?' });
      await box.getByText('The last refused ceremonies').waitFor();
      const text = await box.innerText();
      assert.match(text, /The only passkey is refused\. It is suspended\. The reason that was given: “<img src=x/);
      assert.match(text, /Last refused with credential-suspended/);
      await box.locator('summary', { hasText: 'credential-suspended' }).click();
      await box.getByText('an operator can reinstate the passkey').last().waitFor();
    },
  );

  await suite.test('says that nothing refuses a passkey, and what the service refused all the same', async () => {
    await openUser(asSupport, 'bob');
    await asSupport.page.getByRole('button', { name: 'Find out' }).click();
    await asSupport.page.getByText('Nothing that the service knows refuses any of the passkeys').waitFor();
    await asSupport.page.getByText('Last refused with malformed').waitFor();
  });

  await suite.test('says that a user has no passkey, and what to check', async () => {
    await openUser(asSupport, 'nobody');
    await asSupport.page.getByRole('button', { name: 'Find out' }).click();
    await asSupport.page.getByText('has another id').first().waitFor();
  });

  await suite.test('suspends and reinstates with a reason, after a dialog that says what will happen', async () => {
    const { page } = asSupport;
    await openUser(asSupport, 'bob');
    await page.getByRole('button', { name: 'Suspend Bob’s phone' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('refuses the passkey from the next request on').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal((await lead.listCredentials({ rpId: RP, userId: 'bob', status: 'suspended' })).data.length, 0);

    await page.getByRole('button', { name: 'Suspend Bob’s phone' }).click();
    await dialog.getByRole('button', { name: 'Suspend' }).click();
    assert.ok(await dialog.isVisible(), 'a reason is required');
    await dialog.getByLabel('Reason').fill(HOSTILE);
    await dialog.getByRole('button', { name: 'Suspend' }).click();
    await page.getByText('“Bob’s phone” is suspended.').waitFor();
    await page.getByRole('button', { name: 'Reinstate Bob’s phone' }).waitFor();
    const [suspended] = (await lead.listCredentials({ rpId: RP, userId: 'bob', status: 'suspended' })).data;
    assert.equal(suspended?.statusReason, HOSTILE);

    await page.getByRole('button', { name: 'Reinstate Bob’s phone' }).click();
    await dialog.getByLabel('Reason').fill('found');
    await dialog.getByRole('button', { name: 'Reinstate' }).click();
    await page.getByRole('button', { name: 'Suspend Bob’s phone' }).waitFor();
    const { data } = await lead.listAuditEvents({ type: 'credential.suspend' });
    assert.equal(data[0]?.actor?.app_uid, 'spiffe://passkey-manager.local/support');
  });

  await suite.test('revokes for good, and says so', async () => {
    const { page } = asSupport;
    await page.getByRole('button', { name: 'Revoke Bob’s key' }).click();
    await page.getByRole('dialog').getByText('Nothing undoes this.').waitFor();
    await page.getByRole('dialog').getByLabel('Reason').fill('lost');
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('“Bob’s key” is revoked.').waitFor();
    await page.getByRole('button', { name: 'Revoke Bob’s key' }).waitFor({ state: 'detached' });
  });

  await suite.test('revokes all passkeys of a user', async () => {
    const { page } = asSupport;
    await openUser(asSupport, 'eve');
    await page.getByRole('button', { name: 'Revoke all passkeys of the user' }).click();
    await page.getByRole('dialog').getByText('2 passkeys at login.bank.example').waitFor();
    await page.getByRole('dialog').getByLabel('Reason').fill('account taken over');
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke all' }).click();
    await page.getByText('2 passkeys of eve are revoked.').waitFor();
    assert.equal((await lead.listCredentials({ rpId: RP, userId: 'eve', status: 'revoked' })).data.length, 2);
  });

  await suite.test('tells what happened when somebody else was faster, and changes nothing', async () => {
    const { page } = asSupport;
    await openUser(asSupport, 'bob');
    const [phone] = (await lead.listCredentials({ rpId: RP, userId: 'bob', status: 'active' })).data;
    await page.getByRole('button', { name: 'Suspend Bob’s phone' }).click();
    await lead.revokeCredential(phone!.id, 'stolen');
    await page.getByRole('dialog').getByLabel('Reason').fill('lost');
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
    assert.match(await page.getByRole('dialog').getByRole('alert').innerText(), /Close this.*credential-state/s);
    assert.equal(await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).count(), 0);
    await page.getByRole('dialog').getByRole('button', { name: 'Close this' }).click();
  });

  await suite.test(
    'has no button that the policy does not grant, and says which permission would bring it',
    async () => {
      const { page } = asOperator;
      await openUser(asOperator, 'ada');
      await page.getByText('passkeys:manage would let you suspend, reinstate and revoke').waitFor();
      assert.equal(await page.getByRole('button', { name: /Suspend|Reinstate|Revoke/ }).count(), 0);
      await asOperator.go(`relying-parties/${RP}`, RP);
      await page.getByText('relying-parties:write would let you try changes').waitFor();
      assert.equal(await page.getByRole('button', { name: /device-bound|Store/ }).count(), 0);
      await page.locator('summary', { hasText: 'Synced or device-bound' }).click();
      await page.getByText('Users with synced passkeys').waitFor();
      assert.equal(await page.locator('main input, main textarea').count(), 0);
    },
  );

  await suite.test('is refused by the service what the policy does not grant', async () => {
    const [credential] = (await lead.listCredentials({ rpId: RP, userId: 'ada' })).data;
    const status = await asOperator.page.evaluate(async (id) => {
      const body = JSON.stringify({ reason: 'by hand' });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`/api/v1/credentials/${id}/reinstate`, { method: 'POST', headers, body });
      return [answer.status, ((await answer.json()) as { type: string }).type];
    }, credential!.id);
    assert.deepEqual(status, [403, 'urn:passkey-manager:problem:permission-denied']);
  });

  await suite.test('shows ids, names and reasons as texts, whatever is in them', async () => {
    const { page } = asLead;
    await openUser(asLead, HOSTILE);
    await page.getByRole('heading', { name: VISIBLE }).first().waitFor();
    await page.getByRole('button', { name: 'Find out' }).click();
    await page.getByText('judged by the policy').waitFor();
    await openUser(asLead, 'ada');
    await page.getByText(VISIBLE).first().waitFor();
    await asLead.go('relying-parties', 'Relying parties');
    await page.getByText('Bank\\u{202e}').first().waitFor();
    await asLead.go(`relying-parties/${RP}`, RP);
    await page.getByText('Bank\\u{202e}').first().waitFor();
    await openUser(asLead, HOSTILE);
    await page.getByRole('button', { name: 'Revoke all passkeys of the user' }).click();
    await page
      .getByRole('dialog')
      .getByRole('heading', { name: `Revoke all passkeys of ${VISIBLE}?` })
      .waitFor();
    assert.doesNotMatch(await page.content(), /\u202e/);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await asLead.go(`events?userId=${encodeURIComponent(HOSTILE)}`, 'Events');
    await page.locator('.viewport').getByText('\\u{202e}').first().waitFor();
    assert.doesNotMatch(await page.locator('.viewport').innerHTML(), /\u202e/);
    assert.equal(await page.locator('img').count(), 0);
    assert.doesNotMatch(await page.title(), /owned/);
  });

  await bars(suite, asLead);

  await suite.test('says when a replica is not ready, why, and which page of the runbook helps', async () => {
    const { page } = asOperator;
    await asOperator.go('keys', 'Health and keys');
    await page.getByRole('heading', { name: 'Ready', exact: true }).waitFor();
    await page.getByText('audit:read would show it').waitFor();
    const [last] = await stage.sql(
      'DELETE FROM schema_migration WHERE id = (SELECT max(id) FROM schema_migration) RETURNING *',
    );
    await until(async () => !(await fetch(`${stage.service.managementUrl}/health/ready`)).ok);
    await page.reload();
    await page.getByRole('heading', { name: 'Not ready: migrations' }).waitFor();
    await page.getByText('docs/runbook.md#a-new-version').waitFor();
    assert.deepEqual(await asOperator.findBarriers(), []);
    const { id, timestamp, name } = last as { id: number; timestamp: string; name: string };
    await stage.sql('INSERT INTO schema_migration (id, timestamp, name) VALUES ($1, $2, $3)', [id, timestamp, name]);
  });

  await suite.test('breaks no content security policy, and no script fails', () => {
    assert.deepEqual([asLead.faults, asSupport.faults, asOperator.faults], [[], [], []]);
  });
});

async function bars(suite: { test: typeof test }, console: OpenConsole): Promise<void> {
  const { page } = console;
  const views: [path: string, heading: string | RegExp, shown: string][] = [
    [`ceremonies?rpId=${RP}`, 'Ceremonies', 'Counted up to'],
    [`refusals?rpId=${RP}&reason=malformed`, 'Refusals', 'Every other reason'],
    [`models?rpId=${RP}`, 'Models and backup state', 'By algorithm'],
    ['users', 'Users', 'User id'],
    [`users/${RP}/ada`, /ada/, 'Find out'],
    [`users/${RP}/${encodeURIComponent(HOSTILE)}`, VISIBLE, 'Find out'],
    ['relying-parties', 'Relying parties', 'Warnings'],
    ['keys', 'Health and keys', 'Certificate of the service'],
  ];
  for (const theme of ['Light', 'Dark'] as const)
    await suite.test(`bars nobody, in ${theme.toLowerCase()} colours, on a desk and on a phone`, async () => {
      await console.chooseColours(theme);
      for (const [path, heading, shown] of views) {
        await page.setViewportSize(WIDE);
        await console.go(path, heading);
        await page.getByText(shown).first().waitFor();
        assert.deepEqual([path, await console.findBarriers()], [path, []]);
        await page.setViewportSize(NARROW);
        assert.deepEqual([path, await console.findBarriers(), await console.findOverflow()], [path, [], []]);
      }
      await page.setViewportSize(WIDE);
      await openUser(console, 'ada');
      await page.getByRole('button', { name: 'Revoke Ada’s phone' }).click();
      await page.getByRole('dialog').waitFor();
      assert.deepEqual(await console.findBarriers(), []);
      await page.getByRole('button', { name: 'Cancel' }).click();
    });
}

async function openUser(console: OpenConsole, userId: string): Promise<void> {
  await console.go('users', 'Users');
  await console.page.goto(`${console.origin}/#/users/${RP}/${encodeURIComponent(userId)}`);
  await console.page.getByRole('heading', { level: 2, name: /^Passkeys/ }).waitFor();
}

/** Waits until something holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('it never held');
}
