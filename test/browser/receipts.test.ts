import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type * as Client from '@passkey-manager/client/receipt';
import { get, Site } from './site.ts';

const SHOP = 'https://shop.example';
/** The files of the page: the client's as it is built, and those of its only dependency. */
const FOLDERS = { client: 'clients/typescript/dist', jose: 'node_modules/jose/dist/webapi' };

await test('A page of another service', async (suite) => {
  const site = await Site.open();
  suite.after(() => site.close());

  await suite.test('verifies a receipt by itself, and tells when it is altered or for somebody else', async () => {
    const party = await site.party();
    await party.register('ada');
    const { challengeId, publicKey } = await site.auth.issueAuthenticationChallenge({ rpId: party.rpId });
    const response = await get(site.page, publicKey);
    const asked = { challengeId, response, receipt: { audience: SHOP } };
    const { receipt = '', auditId } = await site.auth.verifyAuthentication(asked);
    const jwks = await site.auth.getReceiptKeys();

    await site.page.route(`${SHOP}/modules/**`, async (route) => {
      const [, folder, ...path] = new URL(route.request().url()).pathname.split('/').slice(1);
      const body = await readFile(join(FOLDERS[folder as keyof typeof FOLDERS], ...path), 'utf8');
      await route.fulfill({ contentType: 'text/javascript', body });
    });
    await site.page.goto(SHOP);
    const map = JSON.stringify({ imports: { jose: '/modules/jose/index.js' } });
    await site.page.addScriptTag({ type: 'importmap', content: map });
    const verify = (text: string, audience: string): Promise<unknown> =>
      site.page.evaluate(
        async ([module, ...given]) => {
          const { verifyReceipt } = (await import(module)) as typeof Client;
          const [receipt, expected] = given as [string, Parameters<typeof verifyReceipt>[1]];
          return verifyReceipt(receipt, expected).then(
            ({ sub, jti, acr }) => ({ sub, jti, acr }),
            (error: unknown) => (error as { reason?: string }).reason ?? String(error),
          );
        },
        ['/modules/client/receipt.js', text, { issuer: 'passkey-manager/default', audience, jwks }] as [
          string,
          ...unknown[],
        ],
      );

    const claims = { sub: 'ada', jti: auditId, acr: 'urn:passkey-manager:acr:device-bound' };
    assert.deepEqual(await verify(receipt, SHOP), claims);
    assert.equal(await verify(receipt, 'https://other.example'), 'audience-mismatch');
    assert.equal(await verify(receipt.replace(/.{9}$/, 'AAAAAAAAA'), SHOP), 'signature-invalid');
  });
});
