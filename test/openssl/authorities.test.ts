import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Authority, KEYS, openssl } from './openssl.ts';
import { Files, POLICY } from './service.ts';

await test('Certificates, lists and policies that OpenSSL made', async (suite) => {
  const files = await Files.create();
  suite.after(() => files.remove());
  const root = await Authority.create(files.directory, 'first');

  /** Overwrites the service's certificate, bundle and list with those of an authority. */
  const install = async (by: Authority, bundle: string, lists: string): Promise<void> => {
    const own = await by.svid('passkey-manager');
    const chain = by === root ? own.cert : own.cert + (await by.certificate());
    await files.write('svid.pem', chain);
    await files.write('svid_key.pem', own.key);
    await files.write('svid_bundle.pem', bundle);
    await files.write('crl.pem', lists);
  };
  await install(root, await root.certificate(), await root.list());
  const service = await files.start();

  for (const [name, key] of Object.entries(KEYS)) {
    await suite.test(`by a root with an ${name} key: a caller is served until it is revoked`, async () => {
      const authority = await Authority.create(files.directory, `root-${name}`, key);
      const bundle = await authority.certificate();
      await service.reloaded(async () => {
        await install(authority, bundle, await authority.list());
      });
      const [stolen, kept] = [await authority.svid('auth-service'), await authority.svid('other-service')];
      const callers = [stolen, kept].map((certificate) => service.caller(certificate, bundle));
      assert.deepEqual(await Promise.all(callers.map((caller) => caller.outcome())), [200, 200]);
      await authority.revoke(stolen);
      await service.reloaded(async () => files.write('crl.pem', await authority.list()));
      const first = await Promise.all(callers.map((caller) => caller.outcome()));
      assert.deepEqual(first, ['401 the certificate was revoked', 200]);
      assert.deepEqual(await Promise.all(callers.map((caller) => caller.outcome())), ['refused', 200]);
      for (const caller of callers) caller.close();
    });
  }

  await suite.test('by an intermediate authority: each of the chain needs its list', async (chain) => {
    const top = await Authority.create(files.directory, 'top', KEYS.RSA);
    const between = await Authority.create(files.directory, 'between', KEYS.EC, top);
    const bundle = await top.certificate();
    const lists = async () => (await top.list()) + (await between.list());
    await service.reloaded(async () => {
      await install(between, bundle, await lists());
    });
    const certificate = await between.svid('auth-service');
    const whole = { ...certificate, cert: certificate.cert + (await between.certificate()) };
    const caller = service.caller(whole, bundle);
    chain.after(() => {
      caller.close();
    });

    await chain.test('a caller that sends it is served', async () => {
      assert.equal(await caller.outcome(), 200);
    });

    await chain.test('without its list its callers are refused, and served again with it', async () => {
      await service.reloaded(async () => files.write('crl.pem', await top.list()));
      assert.equal(await caller.outcome(), '401 the certificate’s authority has no revocation list');
      assert.equal(await caller.outcome(), 'refused');
      await service.reloaded(async () => files.write('crl.pem', await lists()));
      assert.equal(await caller.outcome(), 200);
    });

    await chain.test('in the bundle too, callers need not send it', async () => {
      await service.reloaded(async () => files.write('svid_bundle.pem', (await between.certificate()) + bundle));
      const brief = service.caller(certificate, bundle);
      assert.deepEqual([await brief.outcome(), await caller.outcome()], [200, 200]);
      brief.close();
    });

    await chain.test('revoked, its callers are refused on their live connections', async () => {
      assert.equal(await caller.outcome(), 200);
      await top.revoke({ certFile: between.path('ca.crt') }, 'CACompromise');
      await service.reloaded(async () => files.write('crl.pem', await lists()));
      assert.equal(await caller.outcome(), '401 the certificate was revoked');
      assert.equal(await caller.outcome(), 'refused');
    });
  });

  await suite.test('by two authorities of one name, as in a rotation: key identifiers tell them apart', async () => {
    const [old, next] = [
      await Authority.create(files.directory, 'old', KEYS.EC, undefined, 'Same'),
      await Authority.create(files.directory, 'new', KEYS.EC, undefined, 'Same'),
    ];
    const bundle = (await old.certificate()) + (await next.certificate());
    const lists = async () => (await old.list()) + (await next.list());
    await service.reloaded(async () => {
      await install(next, bundle, await lists());
    });
    const [stolen, kept] = [await old.svid('auth-service'), await next.svid('auth-service')];
    const callers = [stolen, kept].map((certificate) => service.caller(certificate, bundle));
    assert.deepEqual(await Promise.all(callers.map((caller) => caller.outcome())), [200, 200]);
    await old.revoke(stolen);
    await service.reloaded(async () => files.write('crl.pem', await lists()));
    const outcomes = await Promise.all(callers.map((caller) => caller.outcome()));
    assert.deepEqual(outcomes, ['401 the certificate was revoked', 200]);
    assert.deepEqual(await Promise.all(callers.map((caller) => caller.outcome())), ['refused', 200]);
    for (const caller of callers) caller.close();
  });

  await suite.test('denied in the policy as OpenSSL shows them', async () => {
    const authority = await Authority.create(files.directory, 'shown');
    const bundle = await authority.certificate();
    await service.reloaded(async () => {
      await install(authority, bundle, await authority.list());
    });
    const showUser = async (file: string, option: string) =>
      (await openssl('x509', '-in', file, '-noout', '-sha256', option)).trim().split('=')[1] ?? '';
    const shown: Record<string, (file: string) => Promise<string>> = {
      serial: (file) => showUser(file, '-serial'),
      fingerprint: (file) => showUser(file, '-fingerprint'),
      publicKey: async (file) => {
        await writeFile(`${file}.pub`, await openssl('x509', '-in', file, '-noout', '-pubkey'));
        await openssl('pkey', '-pubin', '-in', `${file}.pub`, '-outform', 'DER', '-out', `${file}.spki`);
        return (await openssl('dgst', '-sha256', '-r', `${file}.spki`)).split(' ')[0] ?? '';
      },
    };
    for (const [member, read] of Object.entries(shown)) {
      const certificate = await authority.svid('auth-service');
      const caller = service.caller(certificate, bundle);
      assert.equal(await caller.outcome(), 200);
      const value = await read(certificate.certFile);
      assert.match(value, /^[0-9A-F:]+$/i);
      await service.reloaded(() => files.write('policy.yaml', `${POLICY}deny:\n  - { ${member}: "${value}" }\n`));
      assert.match(String(await caller.outcome()), /^403 /);
      await service.reloaded(() => files.write('policy.yaml', POLICY));
      assert.equal(await caller.outcome(), 200);
      caller.close();
    }
  });
});
