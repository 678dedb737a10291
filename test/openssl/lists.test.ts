import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authority, KEYS } from './openssl.ts';
import { Files } from './service.ts';

await test('Revocation lists that OpenSSL would refuse every caller by change nothing', async (suite) => {
  const files = await Files.create();
  suite.after(() => files.remove());
  const root = await Authority.create(files.directory, 'root');
  const install = async (by: Authority, bundle: string, lists: string): Promise<void> => {
    const own = await by.svid('passkey-manager');
    await files.write('svid.pem', own.cert);
    await files.write('svid_key.pem', own.key);
    await files.write('svid_bundle.pem', bundle);
    await files.write('crl.pem', lists);
  };
  const writeLists = async (lists: string) => files.write('crl.pem', lists);
  await install(root, await root.certificate(), await root.list());
  const service = await files.start();
  const svid = await root.svid('auth-service');
  /** Calls over a new handshake. */
  const outcome = async (certificate = svid) => {
    const caller = service.caller(certificate, await root.certificate());
    const said = await caller.outcome();
    caller.close();
    return said;
  };

  await suite.test('a list of a distribution point, which openssl.cnf does not mark critical', async () => {
    const good = await root.list();
    await service.reloaded(() => writeLists(good));
    await service.refused(
      async () => writeLists(await root.list(7, 'list_of_point')),
      /CRL_FILE: .*it is partial: it has an issuing distribution point/,
    );
    assert.equal(await outcome(), 200);
    await service.restored(() => writeLists(good));
    await service.reloaded(async () => writeLists(await root.list()));
    assert.equal(await outcome(), 200);
  });

  await suite.test('a list of an authority that was renewed since with its key, as easy-rsa makes them', async () => {
    const [former, list] = [await root.certificate(), await root.list(7, 'list_by_serial')];
    await service.reloaded(() => writeLists(list));
    await root.renew();
    const renewed = await root.certificate();
    await service.refused(
      () => files.write('svid_bundle.pem', renewed),
      /CRL_FILE: the list of .* names another certificate of its authority/,
    );
    assert.equal(await outcome(), 200);
    await service.reloaded(() => files.write('svid_bundle.pem', renewed + former));
    assert.equal(await outcome(), 200);
    await service.reloaded(async () => {
      await files.write('svid_bundle.pem', renewed);
      await writeLists(await root.list(7, 'list_by_serial'));
    });
    assert.equal(await outcome(), 200);
  });

  await suite.test('lists of two authorities of one name that do not say whose they are', async () => {
    const namesake = await Authority.create(files.directory, 'namesake', KEYS.EC, undefined, 'root');
    const both = (await root.certificate()) + (await namesake.certificate());
    const lists = async (extensions: string) => (await root.list(7, extensions)) + (await namesake.list(7, extensions));
    await service.refused(async () => {
      await files.write('svid_bundle.pem', both);
      await writeLists(await lists('list_without_key'));
    }, /CRL_FILE: two authorities have the name "O=Bank, CN=root"/);
    assert.equal(await outcome(), 200);
    await service.reloaded(async () => writeLists(await lists('list')));
    assert.equal(await outcome(), 200);
    await service.reloaded(async () => {
      await files.write('svid_bundle.pem', await root.certificate());
      await writeLists(await root.list());
    });
  });

  await suite.test(
    'an older list of an intermediate that is not in the bundle: who was revoked stays out',
    async () => {
      const between = await Authority.create(files.directory, 'between', KEYS.EC, root);
      const stolen = await between.svid('auth-service');
      const kept = await between.svid('other-service');
      const chain = await between.certificate();
      const [whole, other] = [stolen, kept].map((issued) => ({ ...issued, cert: issued.cert + chain }));
      const ofRoot = await root.list();
      const older = await between.list();
      await service.reloaded(() => writeLists(ofRoot + older));
      assert.deepEqual([await outcome(whole), await outcome(other)], [200, 200]);
      await between.revoke(stolen);
      const newer = await between.list();
      await service.reloaded(() => writeLists(ofRoot + newer));
      assert.deepEqual([await outcome(whole), await outcome(other)], ['refused', 200]);
      await service.refused(
        () => writeLists(ofRoot + older),
        /CRL_FILE: the list of "O=Bank, CN=between" is older than the one in use/,
      );
      assert.deepEqual([await outcome(whole), await outcome(other)], ['refused', 200]);
    },
  );
});
