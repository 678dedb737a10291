import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Authority, KEYS } from './openssl.ts';
import { type Caller, Files } from './service.ts';

/** spiffe-helper rewrites its files in place, one after the other. */
const BETWEEN_FILES_MS = 60;

/** Calls while `act` runs and a little longer, and returns the answers other than 200. */
async function callDuring(caller: Caller, act: () => Promise<void>): Promise<{ calls: number; failures: unknown[] }> {
  const acted = { done: false };
  const acting = act().finally(() => (acted.done = true));
  const failures: unknown[] = [];
  let calls = 0;
  for (let after = 0; after < 50; after += acted.done ? 1 : 0, calls += 1) {
    const outcome = await caller.outcome();
    if (outcome !== 200) failures.push(outcome);
    await sleep(5);
  }
  await acting;
  return { calls, failures };
}

await test('The files that spiffe-helper writes', async (suite) => {
  const files = await Files.create();
  suite.after(() => files.remove());
  const upstream = await Authority.create(files.directory, 'upstream', KEYS.EC);
  const spire = await Authority.create(files.directory, 'spire', KEYS.EC, upstream);
  const bundle = await upstream.certificate();
  const withChain = async (by: Authority, name: string) => {
    const svid = await by.svid(name);
    return { ...svid, cert: svid.cert + (await by.certificate()) };
  };
  const rewrite = async (by: Authority, trusted: string): Promise<string> => {
    const own = await withChain(by, 'passkey-manager');
    for (const [name, content] of [
      ['svid.pem', own.cert],
      ['svid_key.pem', own.key],
      ['svid_bundle.pem', trusted],
    ] as const) {
      await files.write(name, content);
      await sleep(BETWEEN_FILES_MS);
    }
    return own.cert;
  };
  const lists = async (...by: Authority[]) => (await Promise.all(by.map((authority) => authority.list()))).join('');
  await files.write('crl.pem', await lists(upstream, spire));
  await rewrite(spire, bundle);
  const service = await files.start();
  const old = service.caller(await withChain(spire, 'auth-service'), bundle);
  suite.after(() => {
    old.close();
  });

  await suite.test('are taken while a caller keeps calling: each call is answered', async () => {
    for (let rotations = 0; rotations < 3; rotations += 1) {
      const { server } = await old.callApi();
      const { calls, failures } = await callDuring(old, () => service.reloaded(() => rewrite(spire, bundle)));
      assert.deepEqual(failures, []);
      assert.ok(calls > 20);
      assert.notEqual((await old.callApi()).server, server);
    }
    assert.equal((await service.ready()).details.certificate['refused'], undefined);
  });

  await suite.test('may hold the next authority beside the old one, and then the next one alone', async () => {
    const next = await Authority.create(files.directory, 'next', KEYS.EC);
    const both = bundle + (await next.certificate());
    const { failures } = await callDuring(old, async () => {
      await service.reloaded(async () => {
        await files.write('crl.pem', await lists(upstream, spire, next));
        await rewrite(spire, both);
      });
    });
    assert.deepEqual(failures, []);
    const moved = service.caller(await next.svid('auth-service'), both);
    assert.deepEqual([await old.outcome(), await moved.outcome()], [200, 200]);
    const during = await callDuring(moved, async () => {
      await service.reloaded(async () => {
        const own = await next.svid('passkey-manager');
        await files.write('svid.pem', own.cert);
        await files.write('svid_key.pem', own.key);
        await files.write('svid_bundle.pem', await next.certificate());
      });
    });
    assert.deepEqual(during.failures, []);
    assert.match(String(await old.outcome()), /^401 the certificate is no longer trusted/);
    assert.equal(await old.outcome(), 'refused');
    moved.close();
  });

  await suite.test('and a revoked SVID is out within seconds, while the others keep calling', async () => {
    const authority = await Authority.create(files.directory, 'last', KEYS.EC);
    const trusted = await authority.certificate();
    await service.reloaded(async () => {
      const own = await authority.svid('passkey-manager');
      await files.write('svid.pem', own.cert);
      await files.write('svid_key.pem', own.key);
      await files.write('svid_bundle.pem', trusted);
      await files.write('crl.pem', await authority.list());
    });
    const stolen = await authority.svid('auth-service');
    const [thief, kept] = [
      service.caller(stolen, trusted),
      service.caller(await authority.svid('other-service'), trusted),
    ];
    assert.equal(await thief.outcome(), 200);
    await authority.revoke(stolen);
    const { failures } = await callDuring(kept, () =>
      service.reloaded(async () => files.write('crl.pem', await authority.list())),
    );
    assert.deepEqual(failures, []);
    assert.equal(await thief.outcome(), '401 the certificate was revoked');
    for (const caller of [thief, kept]) caller.close();
  });
});
