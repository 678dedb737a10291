import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authority, openssl } from './openssl.ts';
import { Files, readStartFailure } from './service.ts';

const PASSPHRASE = 'correct horse battery';

await test('A private key that OpenSSL encrypted', async (suite) => {
  const files = await Files.create();
  suite.after(() => files.remove());
  const root = await Authority.create(files.directory, 'root');
  const bundle = await root.certificate();
  const own = await root.svid('passkey-manager');
  const env = { ...files.env, PASSKEY_TLS_KEY_PASSPHRASE_FILE: files.path('passphrase') };
  const encrypt = (...options: string[]): Promise<string> =>
    openssl('pkcs8', '-topk8', '-in', own.keyFile, ...options, '-passout', `pass:${PASSPHRASE}`);

  await files.write('svid.pem', own.cert);
  await files.write('svid_bundle.pem', bundle);
  await files.write('crl.pem', await root.list());
  await files.write('svid_key.pem', await encrypt());
  await files.write('passphrase', `${PASSPHRASE}\n`);

  await suite.test('stops a start without its passphrase, and with another one', async () => {
    const without = await readStartFailure(files.env);
    assert.match(without, /PASSKEY_TLS_KEY_FILE: is encrypted: PASSKEY_TLS_KEY_PASSPHRASE_FILE names its passphrase/);
    await files.write('passphrase', 'incorrect horse\n');
    const wrong = await readStartFailure(env);
    assert.match(wrong, /PASSKEY_TLS_KEY_PASSPHRASE_FILE: does not open the key/);
    assert.doesNotMatch(wrong, /incorrect horse/);
    await files.write('passphrase', `${PASSPHRASE}\n`);
  });

  const service = await files.start({ PASSKEY_TLS_KEY_PASSPHRASE_FILE: files.path('passphrase') });
  const caller = service.caller(await root.svid('auth-service'), bundle);
  suite.after(() => {
    caller.close();
  });

  await suite.test('serves with it', async () => {
    assert.equal(await caller.outcome(), 200);
  });

  for (const options of [['-v2', 'aes-128-cbc'], ['-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA512'], ['-scrypt']]) {
    await suite.test(`and when it is replaced by one of openssl pkcs8 ${options.join(' ')}`, async () => {
      await service.reloaded(async () => files.write('svid_key.pem', await encrypt(...options)));
      assert.equal(await caller.outcome(), 200);
    });
  }

  await suite.test('and by one of openssl genpkey -aes256, with another passphrase and certificate', async () => {
    const renewed = await root.svid('passkey-manager', 'another');
    assert.match(renewed.key, /BEGIN ENCRYPTED PRIVATE KEY/);
    await service.reloaded(async () => {
      await files.write('svid.pem', renewed.cert);
      await files.write('svid_key.pem', renewed.key);
      await files.write('passphrase', 'another');
    });
    assert.equal(await caller.outcome(), 200);
  });
});
