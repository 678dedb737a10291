import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { createSigner } from 'fast-jwt';
import { base64url, exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import {
  ReceiptError,
  type ReceiptExpectations,
  type ReceiptFault,
  type ReceiptKeys,
  verifyReceipt,
} from '@passkey-manager/client';

const ISSUER = 'passkey-manager/bank';
const AUDIENCE = 'https://shop.example';
const TYPE = 'passkey-receipt+jwt';
type Algorithm = 'ES256' | 'Ed25519';
type Key = ReturnType<typeof makeKey>;

function makeKey(kid: string, algorithm: Algorithm) {
  const { privateKey, publicKey } =
    algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return { kid, algorithm, privateKey, publicKey };
}

async function publish(...keys: Key[]): Promise<ReceiptKeys> {
  const jwks = keys.map(async ({ kid, algorithm, publicKey }) => ({
    ...(await exportJWK(publicKey)),
    ...{ kid, alg: algorithm, use: 'sig' },
  }));
  return { keys: await Promise.all(jwks) } as ReceiptKeys;
}

const now = (): number => Math.floor(Date.now() / 1_000);

function makeClaims(members: Record<string, unknown> = {}): Record<string, unknown> {
  const iat = now();
  return {
    ...{ iss: ISSUER, aud: AUDIENCE, sub: 'ada', jti: '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2' },
    ...{
      iat,
      exp: iat + 60,
      auth_time: iat,
      acr: 'urn:passkey-manager:acr:synced',
      amr: ['pop', 'swk', 'user', 'mfa'],
    },
    ...{ ceremony: 'authentication', rp_id: 'login.example.com', uv: true, be: true, bs: true },
    ...members,
  };
}

const sign = (key: Key, claims = makeClaims(), header: object = {}): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ typ: TYPE, alg: key.algorithm, kid: key.kid, ...header })
    .sign(key.privateKey);

const [one, two] = [makeKey('one', 'ES256'), makeKey('two', 'Ed25519')];
const jwks = await publish(one, two);
const EXPECTED = { issuer: ISSUER, audience: AUDIENCE, jwks };

async function findFault(receipt: string, expected: Partial<ReceiptExpectations> = {}): Promise<ReceiptFault> {
  const error = await verifyReceipt(receipt, { ...EXPECTED, ...expected }).then(
    () => assert.fail('it was accepted'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ReceiptError, String(error));
  return error.reason;
}

const [header = '', payload = '', signature = ''] = (await sign(one)).split('.');
const encode = (value: object): string => base64url.encode(JSON.stringify(value));

await describe('a receipt', async () => {
  for (const key of [one, two]) {
    await it(`by ${key.algorithm} gives its claims`, async () => {
      const claims = makeClaims({ purpose: 'sign-in' });
      assert.deepEqual(await verifyReceipt(await sign(key, claims), EXPECTED), claims);
    });
  }

  await it('of a transaction is good for this transaction alone, and for no sign-in', async () => {
    const receipt = await sign(one, makeClaims({ transaction_digest: 'AA' }));
    const ofTransaction = { ...EXPECTED, transactionDigest: 'AA' };
    assert.equal((await verifyReceipt(receipt, ofTransaction)).transaction_digest, 'AA');
    assert.equal(await findFault(receipt, { transactionDigest: 'AB' }), 'transaction-mismatch');
    assert.equal(await findFault(receipt), 'transaction-mismatch');
    assert.equal(await findFault(await sign(one), ofTransaction), 'transaction-mismatch');
  });

  await it('of another JOSE library gives its claims, too', async () => {
    const key = one.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const header = { alg: 'ES256' as const, typ: TYPE, kid: 'one' };
    const receipt = createSigner({ key, algorithm: 'ES256', header })(makeClaims());
    assert.equal((await verifyReceipt(receipt, EXPECTED)).sub, 'ada');
  });

  const pem = one.publicKey.export({ type: 'spki', format: 'pem' });
  const byHmac = (secret: string): Promise<string> =>
    new SignJWT(makeClaims())
      .setProtectedHeader({ typ: TYPE, alg: 'HS256', kid: 'one' })
      .sign(new TextEncoder().encode(secret.padEnd(32)));
  const stranger = makeKey('one', 'ES256');

  const REFUSED: [string, ReceiptFault, string | Promise<string>][] = [
    ['whose minute is over', 'expired', sign(one, makeClaims({ iat: now() - 61, exp: now() - 1 }))],
    ['for another audience', 'audience-mismatch', sign(one, makeClaims({ aud: `${AUDIENCE}/` }))],
    ['without an audience', 'malformed', sign(one, makeClaims({ aud: undefined }))],
    ['of another deployment', 'issuer-mismatch', sign(one, makeClaims({ iss: 'passkey-manager/default' }))],
    ['of another key with the same kid', 'signature-invalid', sign(stranger)],
    ['with the kid of a key that does not exist', 'key-unknown', sign(one, makeClaims(), { kid: 'three' })],
    ['without a kid', 'key-unknown', sign(one, makeClaims(), { kid: undefined })],
    ['with the kid of a key of another algorithm', 'key-unknown', sign(one, makeClaims(), { kid: 'two' })],
    ['with another user', 'signature-invalid', `${header}.${encode(makeClaims({ sub: 'eve' }))}.${signature}`],
    [
      'with another header',
      'signature-invalid',
      `${encode({ alg: 'ES256', kid: 'one', typ: TYPE })}.${payload}.${signature}`,
    ],
    [
      'with the signature of another receipt',
      'signature-invalid',
      sign(one, makeClaims({ sub: 'eve' })).then((other) => `${header}.${payload}.${other.split('.')[2]!}`),
    ],
    ['without a signature', 'signature-invalid', `${header}.${payload}.`],
    ['that is unsecured', 'algorithm-denied', new UnsecuredJWT(makeClaims()).encode()],
    [
      'that says alg none, with a kid',
      'algorithm-denied',
      `${encode({ alg: 'none', typ: TYPE, kid: 'one' })}.${payload}.`,
    ],
    ['by an HMAC of the public key in PEM', 'algorithm-denied', byHmac(pem)],
    ['by an HMAC of the public key as JWK', 'algorithm-denied', byHmac(JSON.stringify(jwks.keys[0]))],
    ['that is an ID token', 'type-mismatch', sign(one, makeClaims(), { typ: 'JWT' })],
    ['without a type', 'type-mismatch', sign(one, makeClaims(), { typ: undefined })],
    ['without a user', 'malformed', sign(one, makeClaims({ sub: undefined }))],
    ['without an end', 'malformed', sign(one, makeClaims({ exp: undefined }))],
    ['without flags', 'malformed', sign(one, makeClaims({ uv: undefined }))],
    [
      'with a critical member that nobody knows',
      'malformed',
      sign(one).then((receipt) =>
        receipt.replace(/^[^.]+/, encode({ alg: 'ES256', kid: 'one', typ: TYPE, crit: ['x'], x: 1 })),
      ),
    ],
    ['of two parts', 'malformed', `${header}.${payload}`],
    ['that is empty', 'malformed', ''],
    ['that is no base64url', 'malformed', `${header}.${payload}.!`],
  ];
  for (const [what, reason, receipt] of REFUSED) {
    await it(`${what} is refused: ${reason}`, async () => {
      assert.equal(await findFault(await receipt), reason);
    });
  }

  await it('is refused if it is older than the verifier allows, or from the future', async () => {
    const early = await sign(one, makeClaims({ iat: now() - 30 }));
    assert.equal(await findFault(early, { maxAge: 20 }), 'expired');
    assert.equal((await verifyReceipt(early, { ...EXPECTED, maxAge: 40 })).sub, 'ada');
    const late = await sign(one, makeClaims({ iat: now() + 30 }));
    assert.equal(await findFault(late, { maxAge: 20 }), 'not-yet-valid');
  });

  await it('may be a little over if the clocks may be apart', async () => {
    const over = await sign(one, makeClaims({ iat: now() - 62, exp: now() - 2 }));
    assert.equal(await findFault(over, { clockTolerance: 1 }), 'expired');
    assert.equal((await verifyReceipt(over, { ...EXPECTED, clockTolerance: 5 })).sub, 'ada');
  });
});

/** A service that counts how often its keys are fetched. */
class FakeSource {
  fetched = 0;
  failure: Error | undefined;

  keys: ReceiptKeys;

  constructor(keys: ReceiptKeys) {
    this.keys = keys;
  }

  getReceiptKeys(): Promise<ReceiptKeys> {
    this.fetched += 1;
    return this.failure ? Promise.reject(this.failure) : Promise.resolve(this.keys);
  }
}

await describe('the keys of a client', async () => {
  const expecting = (jwksFrom: FakeSource) => ({ issuer: ISSUER, audience: AUDIENCE, jwksFrom });

  await it('are fetched once for many receipts', async () => {
    const source = new FakeSource(jwks);
    await Promise.all([one, two, one].map(async (key) => verifyReceipt(await sign(key), expecting(source))));
    await verifyReceipt(await sign(one), expecting(source));
    assert.equal(source.fetched, 1);
  });

  await it('are fetched again for an unknown key, but not for each', async (t) => {
    const source = new FakeSource(await publish(one));
    const time = t.mock.method(performance, 'now', () => 0);
    await verifyReceipt(await sign(one), expecting(source));
    source.keys = jwks;
    const next = await sign(two);
    await assert.rejects(verifyReceipt(next, expecting(source)), { reason: 'key-unknown' });
    assert.equal(source.fetched, 1);
    time.mock.mockImplementation(() => 10_000);
    assert.equal((await verifyReceipt(next, expecting(source))).sub, 'ada');
    for (let times = 0; times < 3; times += 1)
      await assert.rejects(verifyReceipt(await sign(makeKey('three', 'ES256')), expecting(source)), {
        reason: 'key-unknown',
      });
    assert.equal(source.fetched, 2);
  });

  await it('are fetched again after five minutes, so a key that is gone counts no longer', async (t) => {
    const source = new FakeSource(jwks);
    const time = t.mock.method(performance, 'now', () => 0);
    await verifyReceipt(await sign(one), expecting(source));
    source.keys = await publish(two);
    await verifyReceipt(await sign(one), expecting(source));
    time.mock.mockImplementation(() => 300_000);
    await assert.rejects(verifyReceipt(await sign(one), expecting(source)), { reason: 'key-unknown' });
  });

  await it('are fetched again after a failure, which is thrown as it is', async () => {
    const source = new FakeSource(jwks);
    source.failure = new Error('away');
    await assert.rejects(verifyReceipt(await sign(one), expecting(source)), source.failure);
    source.failure = undefined;
    assert.equal((await verifyReceipt(await sign(one), expecting(source))).sub, 'ada');
  });
});
