import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ConsoleStage, NARROW } from './console-stage.ts';

const VERIFY = fileURLToPath(new URL('../../dist/commands/audit-verify.js', import.meta.url));
const HOSTILE = '<img src=x onerror="document.title=1">';
/** The page is in Berlin. */
const TODAY = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeZone: 'Europe/Berlin' }).format(new Date());

await test('The console exports the log and reviews a day', async (suite) => {
  const stage = await ConsoleStage.set();
  suite.after(() => stage.strike());
  await stage
    .connectAs('operator')
    .putRelyingParty('shop.example', { name: HOSTILE, origins: ['https://shop.example'] });
  for (let refused = 0; refused < 3; refused += 1)
    await stage
      .connectAs('operator')
      .issueAuthenticationChallenge({ rpId: 'shop.example' })
      .catch(() => undefined);
  const auditor = await stage.open('auditor');
  const { page } = auditor;
  const verdict = page.locator('.verdict');

  await suite.test('verifies an export in the page, and saves the file that it verified', async () => {
    await auditor.go('export', 'Export');
    await page.getByRole('button', { name: 'Export and verify' }).click();
    await page.getByRole('heading', { name: 'Verified' }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the file' }).click(),
    ]);
    const file = await download.path();
    const [digest, keys] = [createHash('sha256'), join(stage.dataDir, 'audit.pub')];
    assert.ok((await verdict.innerText()).includes(digest.update(await readFile(file)).digest('hex')));
    await writeFile(keys, await stage.connectAs('auditor').getAuditKeys());
    const { stdout } = await promisify(execFile)(process.execPath, [VERIFY, file, '--key', keys]);
    assert.match(stdout, /verif/i);
  });

  await suite.test('has the times of an export in its address', async () => {
    await page.getByLabel('From').fill('2020-01-01T00:00');
    await page.getByLabel('Before').fill('2020-01-02T00:00');
    await page.getByRole('button', { name: 'Export and verify' }).click();
    await page.getByRole('heading', { name: 'Verified' }).waitFor();
    assert.match(page.url(), /from=2019-12-31T23%3A00%3A00\.000Z&to=2020-01-01T23%3A00%3A00\.000Z/);
    assert.match(await verdict.innerText(), /Events\s+0\s+Places\s+none of/);
  });

  await suite.test('reviews a day: what to look at, figures, plots, and a table for each', async () => {
    await auditor.go('review', 'Daily review');
    await page.getByRole('textbox', { name: 'Day' }).fill(TODAY);
    await page.getByRole('button', { name: 'Review this day' }).click();
    await page.getByRole('heading', { name: 'Verified' }).waitFor();
    await page.getByRole('heading', { name: 'Denied callers' }).waitFor();
    const denied = page.getByRole('region', { name: 'Denied callers' });
    assert.match(await denied.innerText(), /passkey-manager\.local\/operator\s+.*permission.*\s3\s/s);
    assert.ok((await page.locator('.plot canvas').count()) > 0);
    assert.match(await page.getByRole('region', { name: 'Changes' }).innerText(), /shop\.example/);
  });

  await suite.test('prints the review alone', async () => {
    await page.emulateMedia({ media: 'print' });
    for (const name of ['navigation', 'form', 'button'] as const)
      assert.equal(await page.getByRole(name).filter({ visible: true }).count(), 0, name);
    const isShown = await page.getByRole('heading', { name: 'Denied callers' }).isVisible();
    await page.emulateMedia({ media: null });
    assert.ok(isShown);
  });

  for (const theme of ['Light', 'Dark'] as const) {
    await suite.test(`bars nobody, in ${theme.toLowerCase()} colours, on a desk and on a phone`, async () => {
      await auditor.chooseColours(theme);
      for (const [path, heading] of [
        [`review?day=${TODAY}`, /^Daily review/],
        ['export?begin=yes', 'Export'],
      ] as const) {
        await auditor.go(path, heading);
        await page.getByRole('heading', { name: 'Verified' }).waitFor();
        assert.deepEqual(await auditor.findBarriers(), []);
        const { width, height } = page.viewportSize()!;
        await page.setViewportSize(NARROW);
        assert.deepEqual(await auditor.findBarriers(), []);
        assert.deepEqual(await auditor.findOverflow(), []);
        await page.setViewportSize({ width, height });
      }
    });
  }

  await suite.test('is red, and names the line, when somebody has changed an event by SQL', async () => {
    await stage.sql(
      `UPDATE audit_event SET event = replace(event, 'operator', 'nobody') WHERE type = 'relying-party.create'`,
    );
    for (const [path, heading] of [
      ['export?begin=yes', 'Export'],
      [`review?day=${TODAY}`, /^Daily review/],
    ] as const) {
      await auditor.go('events', 'Events');
      await auditor.go(path, heading);
      const alert = page.getByRole('alert');
      await alert.getByRole('heading', { name: 'The export does not verify' }).waitFor();
      assert.match(await alert.innerText(), /lines? \d+/);
      assert.equal(await page.getByRole('heading', { name: 'Denied callers' }).count(), 0);
    }
  });

  await suite.test('opens neither view without the permission to export', async () => {
    const operator = await stage.open('operator');
    for (const [path, heading] of [
      ['export', 'Export'],
      ['review', 'Daily review'],
    ] as const) {
      await operator.go(path, heading);
      await operator.page.getByText('audit:export').waitFor();
    }
    assert.deepEqual(operator.faults, []);
  });

  await suite.test('breaks no content security policy, and no script fails', () => {
    assert.deepEqual(auditor.faults, []);
  });
});
