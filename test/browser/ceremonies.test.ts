import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, get, refusal, Site } from './site.ts';
import type { Page } from 'playwright-core';
import { PasskeyProblem, type Schemas } from '@passkey-manager/client';

const ALGORITHMS: [name: string, cose: Schemas['Algorithms'][number]][] = [
  ['ML-DSA-44', -48],
  ['ML-DSA-65', -49],
  ['ML-DSA-87', -50],
  ['EdDSA', -8],
  ['ES256', -7],
  ['RS256', -257],
];

await test('What a browser sends, and what it takes', async (suite) => {
  const site = await Site.open();
  suite.after(() => site.close());

  for (const [name, algorithm] of ALGORITHMS) {
    await suite.test(`a passkey of ${name} registers and signs in`, async () => {
      const party = await site.party({ algorithms: [algorithm] });
      const credential = await party.register('ada');
      assert.equal(credential.algorithm, algorithm);
      const { userId, userVerified } = await party.authenticate();
      assert.deepEqual([userId, userVerified], ['ada', true]);
    });
  }

  for (const transport of ['internal', 'usb', 'nfc', 'ble', 'cable', 'hybrid']) {
    await suite.test(`a device that is reached by ${transport} is offered the same way at sign-in`, async () => {
      const party = await site.party({}, { transport });
      const { transports } = await party.register('ada');
      assert.ok(transports.length > 0);
      const { publicKey } = await site.auth.issueAuthenticationChallenge({ rpId: party.rpId, userId: 'ada' });
      assert.deepEqual(
        publicKey.allowCredentials.map((descriptor) => descriptor.transports),
        [transports.toSorted()],
      );
      assert.equal((await party.authenticate({ challenge: { userId: 'ada' } })).userId, 'ada');
    });
  }

  await suite.test('a U2F key registers with its attestation and is the second factor of a named user', async () => {
    const relaxed = { userVerification: 'discouraged', residentKey: 'discouraged' } as const;
    const u2f = { protocol: 'u2f', transport: 'usb', hasResidentKey: false, hasUserVerification: false };
    const party = await site.party({ ...relaxed, attestation: { conveyance: 'direct' } }, u2f);
    const { attestation, discoverable } = await party.register('ada');
    assert.deepEqual([attestation.format, discoverable], ['fido-u2f', false]);
    const { userVerified } = await party.authenticate({ challenge: { userId: 'ada' } });
    assert.equal(userVerified, false);
  });

  await suite.test('a cross-origin frame may run a ceremony only where the policy lists its top origin', async () => {
    const top = 'https://shop.example';
    const party = await site.party({ crossOrigin: { allow: true, topOrigins: [top] } });
    await party.register('ada');
    const frameIn = async (origin: string) => {
      await site.page.goto(origin);
      await site.page.evaluate((src) => {
        const frame = Object.assign(document.createElement('iframe'), { src, name: 'passkeys' });
        frame.allow = 'publickey-credentials-create *; publickey-credentials-get *';
        document.body.append(frame);
        return new Promise((resolve) => {
          frame.onload = resolve;
        }).then(() => undefined);
      }, `https://${party.rpId}`);
      return site.page.frame('passkeys')!;
    };
    assert.equal((await party.authenticate({ frame: await frameIn(top) })).userId, 'ada');
    const elsewhere = await frameIn('https://elsewhere.example');
    assert.equal(await refusal(party.authenticate({ frame: elsewhere })), 'cross-origin-denied');
    await site.operator.putRelyingParty(party.rpId, { name: 'Bank', origins: [`https://${party.rpId}`] });
    assert.equal(await refusal(party.authenticate({ frame: await frameIn(top) })), 'cross-origin-denied');
  });

  await suite.test('related origins: the browser follows the document, up to five names', async () => {
    const names = Array.from({ length: 6 }, (_, n) => `https://related${String(n + 1)}.example`);
    const party = await site.party({}, {}, names);
    await party.register('ada');
    const document = await site.operator.getRelatedOrigins(party.rpId);
    assert.deepEqual(document, { origins: names });
    site.relate(party.rpId, document);
    const { warnings } = await site.operator.getRelyingParty(party.rpId);
    assert.match(warnings[0]!.detail, /related6/);
    for (const [at, origin] of names.entries()) {
      await site.page.goto(origin);
      const outcome = await party.authenticate().then(({ userId }) => userId, String);
      if (at < 5) assert.equal(outcome, 'ada', origin);
      else assert.match(outcome, /SecurityError/);
    }
  });

  await suite.test(
    'a conditional create answers without presence and verification, and a sign-in demands both',
    async () => {
      const party = await site.party();
      await party.device.stayAway();
      assert.equal(await refusal(party.register('ada')), 'user-presence-missing');
      const device = await site.plugIn({});
      await device.stayAway();
      const credential = await party.register('ada', { challenge: { mediation: 'conditional' } });
      assert.equal(credential.userVerified, false);
      assert.equal(await refusal(party.authenticate()), 'user-presence-missing');
    },
  );

  await suite.test('a passkey for payments is registered as the service asks for it', async () => {
    const party = await site.party({ userVerification: 'preferred', residentKey: 'discouraged' });
    const challenge = { payment: true };
    const { publicKey } = await party.registrationChallenge('ada', challenge);
    const parsed = await site.page.evaluate((json) => {
      const options = PublicKeyCredential.parseCreationOptionsFromJSON(json as PublicKeyCredentialCreationOptionsJSON);
      return { ...options.extensions };
    }, publicKey as object);
    assert.ok(publicKey.extensions.payment);
    assert.deepEqual((parsed as typeof publicKey.extensions).payment, publicKey.extensions.payment);
    const credential = await party.register('ada', { challenge });
    assert.equal(credential.userVerified, true);
    assert.equal(credential.attachment, 'platform');
    await assert.rejects(
      party.register('bob', { challenge, options: { authenticatorSelection: { userVerification: 'preferred' } } }),
      /NotSupportedError/,
    );
  });

  await suite.test('64 passkeys are offered and taken, and the service offers no 65th', async () => {
    const party = await site.party({ maxCredentialsPerUser: 64 });
    const credential = await party.register('ada');
    await site.sql(
      `INSERT INTO credential
       SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'credential_id', '\\x' || md5(n::text)))).*
         FROM credential c, generate_series(1, 64) n WHERE c.id = $1`,
      [credential.id],
    );
    const { publicKey } = await site.auth.issueAuthenticationChallenge({ rpId: party.rpId, userId: 'ada' });
    const descriptors = publicKey.allowCredentials;
    assert.equal(descriptors.length, 64);
    const own = { type: 'public-key', id: credential.credentialId };
    const fill = (count: number) => ({ ...publicKey, allowCredentials: [own, ...descriptors].slice(0, count) });
    assert.equal((await get(site.page, fill(64))).id, credential.credentialId);
    await assert.rejects(get(site.page, { ...publicKey, allowCredentials: [own, ...descriptors] }), /RangeError/);
    assert.equal(await refusal(party.register('ada')), 'too-many-credentials');
  });

  await suite.test('extension outputs that a page asks for change nothing, and secrets are not kept', async () => {
    const party = await site.party({}, { hasLargeBlob: true, hasPrf: true, hasCredBlob: true, hasMinPinLength: true });
    const eval_ = { first: Buffer.alloc(32, 1).toString('base64url') };
    const extensions = {
      credProps: true,
      prf: { eval: eval_ },
      largeBlob: { support: 'preferred' },
      minPinLength: true,
    };
    const { challengeId, publicKey } = await party.registrationChallenge('ada');
    const response = await create(site.page, { ...publicKey, extensions });
    assert.ok('prf' in response.clientExtensionResults! && 'largeBlob' in response.clientExtensionResults);
    const credential = await site.auth.registerCredential({ challengeId, response });
    assert.equal(credential.discoverable, true);
    assert.equal((await party.authenticate({ options: { extensions: { prf: { eval: eval_ } } } })).userId, 'ada');
  });

  const outcomes: [title: string, tamper: boolean, held: boolean[]][] = [
    ['the Signal API keeps what is suspended and deletes what is revoked', false, [true, true, false]],
    ['the Signal API deletes nothing while a row of the user fails its integrity check', true, [true, true, true]],
  ];
  for (const [title, tamper, held] of outcomes) {
    await suite.test(title, async () => {
      const party = await site.party();
      const passkeys = [];
      const devices = [];
      for (let count = 0; count < 3; count += 1) {
        // A device keeps one passkey for a user. Devices with a passkey stay plugged in and are not touched.
        const device = await site.plugIn({ transport: 'usb' }, devices);
        passkeys.push(await party.register('ada'));
        await device.ignoreTouches();
        devices.push(device);
      }
      const [, suspended, revoked] = passkeys;
      await site.auth.suspendCredential(suspended!.id, 'lost');
      await site.auth.revokeCredential(revoked!.id, 'stolen');
      if (tamper) await site.sql('UPDATE credential SET aaguid = gen_random_uuid() WHERE id = $1', [suspended!.id]);
      const signals = await site.auth.getUserSignals('ada', party.rpId).catch(refusedAs);
      if ('allAcceptedCredentials' in signals) await signal(site.page, signals.allAcceptedCredentials);
      assert.deepEqual(await Promise.all(devices.map(async (device) => (await device.passkeys()).length === 1)), held);
    });
  }
});

function refusedAs(error: unknown): { problem: string } {
  assert.ok(error instanceof PasskeyProblem);
  return { problem: error.slug };
}

async function signal(page: Page, allAcceptedCredentials: object): Promise<void> {
  await page.evaluate(
    (options) => PublicKeyCredential.signalAllAcceptedCredentials(options as never),
    allAcceptedCredentials,
  );
}
