import assert from 'node:assert/strict';
import { test } from 'node:test';
import { employ, importPasskeys } from './console-people.ts';
import { ConsoleStage } from './console-stage.ts';

const RP = 'login.bank.example';
const HOSTILE = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>\${7*7}\u202e"\\u0041`;
/** How the page shows it: the character that would turn the order of the words is a code. */
const VISIBLE = HOSTILE.replace('\u202e', '\\u{202e}');
const REASON = `<svg onload="document.title='taken'">`;
const EVENTS = 100_000;

await test('The console of an auditor, with texts and numbers that others chose', async (suite) => {
  const stage = await ConsoleStage.set();
  suite.after(() => stage.strike());
  await employ(stage, [
    {
      name: 'lead',
      permissions: [
        'relying-parties:write',
        'relying-parties:read',
        'passkeys:manage',
        'passkeys:import',
        'passkeys:read',
      ],
    },
    { name: 'auditor', permissions: ['audit:read', 'audit:export'] },
  ]);
  const lead = stage.connectAs('lead');
  await lead.putRelyingParty(RP, { name: HOSTILE.slice(0, 60), origins: [`https://${RP}`] });
  await importPasskeys(lead, RP, [{ userId: HOSTILE, name: HOSTILE.slice(0, 60) }]);
  await lead.revokeUser(HOSTILE, RP, REASON);
  const auditor = await stage.open('auditor');
  const { page } = auditor;
  /** Fails if a text became part of the page, or ran. */
  const demandText = async () => {
    assert.equal(await page.locator('body :is(img, script, iframe, svg)').count(), 0);
    assert.doesNotMatch(await page.title(), /taken/);
    assert.deepEqual(auditor.faults, []);
  };

  await suite.test('shows them as texts in the list, in the event, in its JSON and in the filters', async () => {
    await auditor.go(`events?userId=${encodeURIComponent(HOSTILE)}`, 'Events');
    const link = page.getByRole('link', { name: 'lead revoked every passkey of user <img' });
    assert.ok((await link.innerText()).includes(VISIBLE));
    assert.equal(await page.getByLabel('User id').inputValue(), HOSTILE);
    await demandText();
    await link.click();
    await page.getByRole('heading', { name: 'This event was not altered since it was logged' }).waitFor();
    assert.ok((await page.locator('.facts').innerText()).includes(VISIBLE));
    const json = JSON.parse(await page.locator('pre').innerText()) as { unmapped: { status_reason: string } };
    assert.equal(json.unmapped.status_reason, REASON);
    const facts = await page.locator('.facts').innerText();
    assert.match(facts, /The log has the pseudonym \S+; which user it stands for, the service says\./);
    assert.ok(facts.includes(REASON));
    assert.match(await page.locator('.verdict').innerText(), /It does not cover which user that is/);
    await demandText();
  });

  await suite.test('takes no address for more than a text', async () => {
    const hostile = encodeURIComponent(HOSTILE);
    const addresses = [`events/${hostile}`, hostile, `events?type=${hostile}&outcome=${hostile}&from=${hostile}`];
    for (const address of [
      ...addresses,
      'events/..%2f..%2fcaller',
      'events/%',
      'events?credentialId=%zz',
      '//attacker.example',
    ]) {
      await page.goto(`${auditor.origin}/#/${address}`);
      await page.locator('.problem, .empty, .viewport').first().waitFor();
      await demandText();
    }
  });

  await suite.test(`scrolls through ${EVENTS.toLocaleString('en')} events and draws those in sight`, async () => {
    await stage.sql(
      `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
       SELECT copy.id, replace(event, audit_event.id::text, copy.id::text), leaf_hash, type, outcome
         FROM (SELECT * FROM audit_event WHERE type = 'relying-party.create' LIMIT 1) AS audit_event,
              LATERAL (SELECT (substr(audit_event.id::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid AS id
                         FROM generate_series(1, ${String(EVENTS)}) AS n) AS copy`,
    );
    await auditor.go('events?type=relying-party.create', 'Events');
    const read = async () =>
      Number(/([\d,]+) events/.exec(await page.locator('.under').innerText())![1]!.replaceAll(',', ''));
    const more = page.getByRole('button', { name: 'Read 10,000 more' });
    while ((await read()) < EVENTS) {
      const before = await read();
      await more.click();
      await page.waitForFunction(
        (least) =>
          Number(/[\d,]+/.exec(document.querySelector('.under')!.textContent)![0].replaceAll(',', '')) >= least,
        Math.min(before + 10_000, EVENTS),
        { timeout: 120_000 },
      );
    }
    const frames = await page.evaluate(async () => {
      const viewport = document.querySelector('.viewport')!;
      const times: number[] = [];
      for (let step = 0; step <= 100; step += 1) {
        const begin = performance.now();
        viewport.scrollTop = (viewport.scrollHeight / 100) * step;
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        times.push(performance.now() - begin);
      }
      return times.toSorted((a, b) => a - b);
    });
    const rows = await page.locator('.viewport .rows .row').count();
    assert.ok(rows > 10 && rows < 100, `${String(rows)} rows are drawn`);
    // Two frames take 33 ms on a machine that does nothing else.
    assert.ok(frames[50]! < 150, `half of the scrolls take longer than ${String(frames[50])} ms`);
    await page.locator('.viewport .rows .row').last().getByRole('link').waitFor();
    await demandText();
  });
});
