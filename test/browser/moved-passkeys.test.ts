import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Party, refusal, Site } from './site.ts';
import type { StoredPasskey } from './stage.ts';

const VECTORS = 'test/vectors/moved-passkeys';
/** The RP ID of the servers that the passkeys come from. */
const RP_ID = 'login.shop.example';
const ADA = '1qzxzv2dLugNHg0vhnezOzvCPd6cWgjL';
const BOB = 'DwVHpFT40SaovsEDFmq5IqA2c4wHqx7L';

type Product = 'better-auth' | 'simplewebauthn';
const HELD = JSON.parse(readFileSync(`${VECTORS}/authenticators.json`, 'utf8')) as Record<Product, StoredPasskey[]>;

const run = (program: string, ...args: readonly string[]) =>
  promisify(execFile)(process.execPath, [`dist/commands/${program}.js`, ...args]);

async function openSite(moved: TestContext): Promise<Site> {
  const site = await Site.open();
  moved.after(() => site.close());
  const origins = [`https://${RP_ID}`];
  await site.operator.putRelyingParty(RP_ID, { name: 'Shop', origins, policy: { residentKey: 'preferred' } });
  await site.page.goto(origins[0]!);
  return site;
}

/** Moves the passkeys of a product in, as an operator does. */
async function moveIn(site: Site, product: Product): Promise<string> {
  const lines = join(site.dataDir, `${product}.ndjson`);
  await run('passkeys-read', '--from', product, '--out', lines, `${VECTORS}/${product}.csv`);
  const { stdout } = await run('passkeys-import', '--rp-id', RP_ID, ...site.optionsOf('operator'), lines);
  return stdout;
}

/** Signs in with an authenticator that holds the passkey. */
async function signIn(site: Site, held: StoredPasskey, { challenge = {}, device = {} } = {}) {
  const party = new Party(site, RP_ID, await site.plugIn(device));
  await party.device.restore(held);
  const verification = await party.authenticate({ challenge });
  return { ...verification, held: (await party.device.passkeys())[0]! };
}

await test('Passkeys of Better Auth sign in after they moved here', async (moved) => {
  const site = await openSite(moved);
  const [laptop, key, phone] = HELD['better-auth'] as [StoredPasskey, StoredPasskey, StoredPasskey];
  assert.equal(await moveIn(site, 'better-auth'), '3 imported\n');
  let used: StoredPasskey;

  await moved.test('without a user, although nobody knows their handles', async () => {
    const { userId, risks, credential, held } = await signIn(site, laptop);
    assert.deepEqual({ userId, risks, backedUp: credential.backedUp }, { userId: ADA, risks: [], backedUp: true });
    used = held;
    assert.equal((await signIn(site, key)).userId, ADA);
    assert.equal((await signIn(site, phone)).userId, BOB);
  });

  await moved.test('again, now with the handle that was learned', async () => {
    assert.equal((await signIn(site, used)).userId, ADA);
  });

  await moved.test('with no other handle than the one that was learned', async () => {
    const other = { ...used, signCount: used.signCount + 10, userHandle: Buffer.alloc(32, 7).toString('base64') };
    assert.equal(await refusal(signIn(site, other)), 'user-handle-mismatch');
  });

  await moved.test('and a second import changes nothing', async () => {
    assert.equal(await moveIn(site, 'better-auth'), '3 exists\n');
  });
});

await test('Passkeys of SimpleWebAuthn’s tutorial sign in after they moved here', async (moved) => {
  const site = await openSite(moved);
  const [synced, key, second] = HELD.simplewebauthn as [StoredPasskey, StoredPasskey, StoredPasskey];
  assert.equal(await moveIn(site, 'simplewebauthn'), '3 imported\n');

  await moved.test('with the handle that each of a user’s authenticators holds', async () => {
    for (const passkey of [synced, key]) assert.equal((await signIn(site, passkey)).userId, '1');
  });

  await moved.test('with no other handle, from the first sign-in on', async () => {
    const other = { ...key, signCount: key.signCount + 10, userHandle: synced.userHandle! };
    assert.equal(await refusal(signIn(site, other)), 'user-handle-mismatch');
  });

  await moved.test('as a second factor that is not discoverable', async () => {
    const key = { challenge: { userId: '2' }, device: { transport: 'nfc', hasResidentKey: false } };
    assert.equal((await signIn(site, second, key)).userId, '2');
  });
});
