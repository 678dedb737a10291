import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { signCheckpoint } from '../../src/tlog/checkpoint.js';
import { readLogSigners } from '../../src/tlog/keys.js';
import { ConsoleStage, NARROW, type OpenConsole } from './console-stage.ts';

const VERIFY = fileURLToPath(new URL('../../dist/commands/audit-verify.js', import.meta.url));
const RP_ID = 'shop.example';
const LATEST = 'WHERE size = (SELECT max(size) FROM audit_checkpoint)';

await test('The console as a witness of the log', async (suite) => {
  const stage = await ConsoleStage.set();
  suite.after(() => stage.strike());
  const operator = stage.connectAs('operator');
  let changes = 0;
  /** Makes an event of the log. */
  const change = () =>
    operator.putRelyingParty(RP_ID, { name: `Shop ${String((changes += 1))}`, origins: [`https://${RP_ID}`] });
  await change();
  const auditor = await stage.open('auditor');
  const { page } = auditor;
  const verdict = () => page.locator('.verdict').first();
  const check = () => page.getByRole('button', { name: 'Check now' }).click();
  const text = (words: string | RegExp) => page.getByText(words).first().waitFor();
  const keepAway = () => stage.sql('CREATE TABLE audit_checkpoint_away AS TABLE audit_checkpoint');
  const putBack = () =>
    stage.sql(`TRUNCATE audit_checkpoint; INSERT INTO audit_checkpoint TABLE audit_checkpoint_away;
               DROP TABLE audit_checkpoint_away`);

  await suite.test('verifies an event in the page, and says how', async () => {
    await openEvent(auditor, 'operator created the relying party shop.example');
    await page.getByRole('heading', { name: 'This event was not altered since it was logged' }).waitFor();
    await text(/^The hash of the event is leaf \d+ of the log\.$/);
    await text(/ed25519 [0-9a-f]{8} and ml-dsa-44 [0-9a-f]{8} signed this root/);
    await text('The keys are those that the service names. This browser does not watch the log yet');
    assert.match(await page.locator('pre').innerText(), /"event_code": "relying-party.create"/);
    assert.deepEqual(await auditor.findBarriers(), []);
  });

  await suite.test('saves the event, its proof and the keys, which verify elsewhere as the page says', async () => {
    const directory = await mkdtemp(join(stage.dataDir, 'papers-'));
    for (const name of ['event', 'proof', 'keys']) {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: `Save the ${name}` }).click(),
      ]);
      await download.saveAs(join(directory, download.suggestedFilename()));
    }
    const line = await page.getByText(/^npm run audit:verify -- /).innerText();
    const { stdout } = await promisify(execFile)(process.execPath, [VERIFY, ...line.split(' ').slice(4)], {
      cwd: directory,
    });
    assert.match(stdout, /^event-\S+\.json verifies:/);
  });

  await suite.test('keeps a checkpoint, and demands that the log continues it', async () => {
    await auditor.go('log', 'Log');
    await page.getByRole('heading', { name: 'The checkpoint verifies' }).waitFor();
    const kept = await readKept(auditor);
    assert.match(kept.note, /^passkey-manager\/default\n\d+\n/);
    assert.match(kept.keys, /^passkey-manager\/default\+/);
    await change();
    await page.reload();
    await page.getByRole('heading', { name: 'The log continues' }).waitFor();
    // The event gets its place within about a second.
    while ((await readKept(auditor)).size <= kept.size) await check();
  });

  await suite.test('verifies an event against the checkpoint that it keeps, too', async () => {
    await openEvent(auditor, 'operator created the relying party shop.example');
    await page.getByRole('heading', { name: 'This event was not altered since it was logged' }).waitFor();
    const words = await verdict().innerText();
    assert.match(words, /The log continues the \d+ events that this browser saw\./);
    assert.match(words, /The keys are those by which this browser watches the log\./);
  });

  await suite.test('shows in red that an event was altered by SQL', async () => {
    await stage.sql(`UPDATE audit_event SET event = replace(event, 'shop.example', 'evil.example')
                      WHERE type = 'relying-party.create' AND event LIKE '%shop.example%'`);
    await page.reload();
    await page.getByRole('heading', { name: 'The event does not verify' }).waitFor();
    await text(/^The event was altered, or is another one than was logged: /);
    assert.equal(await page.getByRole('button', { name: /^Save the (event|proof|keys)$/ }).count(), 3);
    await text('operator created the relying party evil.example');
    assert.deepEqual(await auditor.findBarriers(), []);
    await stage.sql(`UPDATE audit_event SET event = replace(event, 'evil.example', 'shop.example')
                      WHERE type = 'relying-party.create'`);
    await page.reload();
    await page.getByRole('heading', { name: 'This event was not altered since it was logged' }).waitFor();
  });

  await suite.test('shows in red that an event was inserted by SQL', async () => {
    const id = '01a22ef2-4b47-7353-ba8b-cd9a933a1492';
    await stage.sql(
      `INSERT INTO audit_event (id, event, leaf_hash, type, outcome)
       SELECT '${id}', regexp_replace(event, '"uid":"[0-9a-f-]{36}"', '"uid":"${id}"'), leaf_hash, type, outcome
         FROM audit_event WHERE type = 'relying-party.create' LIMIT 1`,
    );
    await auditor.go(`events/${id}`, 'Event');
    await page.getByRole('heading', { name: 'The event does not verify' }).waitFor();
    await text(/it has no place in the log/);
    await stage.sql('DELETE FROM audit_event WHERE id = $1', [id]);
  });

  await suite.test('shows in red that the log was cut, and keeps the longer checkpoint', async () => {
    const kept = await readKept(auditor);
    await keepAway();
    await stage.sql('DELETE FROM audit_checkpoint WHERE size > (SELECT min(size) FROM audit_checkpoint)');
    await auditor.go('log', 'Log');
    await page.getByRole('heading', { name: 'The log does not hold' }).waitFor();
    await text(/^The log is shorter: it has \d+ events, and it had \d+\.$/);
    assert.equal((await readKept(auditor)).note, kept.note);
    for (const theme of ['Light', 'Dark'] as const) {
      await auditor.chooseColours(theme);
      assert.deepEqual(await auditor.findBarriers(), []);
    }
    await page.setViewportSize(NARROW);
    assert.deepEqual(await auditor.findOverflow(), []);
    await putBack();
  });

  await suite.test('says that a log which goes on again did not hold before, and saves the evidence', async () => {
    await page.reload();
    await page.getByRole('heading', { name: 'The log continues' }).waitFor();
    await page.getByRole('heading', { name: 'The log did not hold before' }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the evidence' }).click(),
    ]);
    const evidence = JSON.parse(await readFile(await download.path(), 'utf8')) as { breaks: { fault: string }[] };
    assert.match(evidence.breaks[0]!.fault, /^The log is shorter/);
  });

  await suite.test('shows in red a checkpoint that nobody signed', async () => {
    await keepAway();
    await stage.sql(
      `UPDATE audit_checkpoint SET note = regexp_replace(note, '^(.*?)\\n\\d+\\n', E'\\\\1\\n9999\\n') ${LATEST}`,
    );
    await check();
    await text(/^The checkpoint does not verify: the ed25519 signature of passkey-manager\/default is not valid\.$/);
    await putBack();
  });

  await suite.test('shows in red a fork that a thief of the keys has signed', async () => {
    await change();
    await check();
    await page.getByRole('heading', { name: 'The log continues' }).waitFor();
    await keepAway();
    const { note } = await readKept(auditor);
    const [origin = '', size = ''] = note.split('\n');
    const signers = readLogSigners(await readFile(join(stage.dataDir, 'audit.key'), 'utf8'), origin);
    const forked = { origin, size: Number(size), root: Buffer.alloc(32, 7), extensions: [] };
    await stage.sql('DELETE FROM audit_checkpoint WHERE size > $1', [Number(size)]);
    await stage.sql(`UPDATE audit_checkpoint SET note = $1 ${LATEST}`, [
      await signCheckpoint(forked, signers, new Date()),
    ]);
    await check();
    await text(/^The log is forked: at \d+ events it shows another root than the one that it signed before\.$/);
    await putBack();
  });

  await suite.test('shows in red a log whose later events do not follow those before', async () => {
    const { size, origin, root } = await readKept(auditor);
    await change();
    const findSize = async () => Number((await stage.sql(`SELECT size FROM audit_checkpoint ${LATEST}`))[0]!['size']);
    while ((await findSize()) <= size) await page.waitForTimeout(100);
    await keepAway();
    const signers = readLogSigners(await readFile(join(stage.dataDir, 'audit.key'), 'utf8'), origin);
    const another = { origin, size: await findSize(), root: Buffer.from(root, 'base64').reverse(), extensions: [] };
    await stage.sql(`UPDATE audit_checkpoint SET note = $1 ${LATEST}`, [
      await signCheckpoint(another, signers, new Date()),
    ]);
    await check();
    await text(/^The log does not continue: its \d+ events do not begin with the \d+ that it signed before\.$/);
    await putBack();
  });

  await suite.test('forgets the checkpoint only after a confirmation', async () => {
    await page.getByRole('button', { name: 'Forget the checkpoint' }).click();
    const dialog = page.getByRole('dialog', { name: 'Forget the checkpoint?' });
    assert.deepEqual(await auditor.findBarriers(), []);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.ok((await readKept(auditor)).size > 0);
    await page.getByRole('button', { name: 'Forget the checkpoint' }).click();
    await dialog.getByRole('button', { name: 'Forget', exact: true }).click();
    await text('The checkpoint is forgotten.');
    await page.getByRole('heading', { name: 'The checkpoint verifies' }).waitFor();
    assert.equal(await page.getByRole('heading', { name: 'The log did not hold before' }).count(), 0);
    assert.match(await verdict().innerText(), /begins to watch/);
  });

  await suite.test('says that what it keeps is damaged, and begins anew only when told', async () => {
    await page.evaluate(() => {
      const name = Object.keys(localStorage).find((key) => key.startsWith('console-witness '))!;
      localStorage.setItem(name, localStorage.getItem(name)!.replace(/\d/g, '7'));
    });
    await page.reload();
    await text(/^What this browser keeps of the log is damaged/);
    await page.getByRole('button', { name: 'Forget the checkpoint' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Forget', exact: true }).click();
    await page.getByRole('heading', { name: 'The checkpoint verifies' }).waitFor();
  });

  await suite.test('breaks no content security policy, and no script fails', () => {
    assert.deepEqual(auditor.faults, []);
  });
});

/** Comes to an event from the list. */
async function openEvent(console: OpenConsole, words: string): Promise<void> {
  await console.go('events?type=relying-party.create', 'Events');
  await console.page.getByRole('link', { name: words }).click();
  await console.page.getByRole('heading', { level: 1, name: 'Event', exact: true }).waitFor();
}

interface Kept {
  readonly note: string;
  readonly keys: string;
}

/** What the browser keeps of the log. */
async function readKept({ page }: OpenConsole): Promise<Kept & { origin: string; size: number; root: string }> {
  const text = await page.evaluate(() => {
    const name = Object.keys(localStorage).find((key) => key.startsWith('console-witness '));
    return name === undefined ? null : localStorage.getItem(name);
  });
  const kept = JSON.parse(text ?? '{"note":"","keys":""}') as Kept;
  const [origin = '', size, root = ''] = kept.note.split('\n');
  return { ...kept, origin, size: Number(size), root };
}
