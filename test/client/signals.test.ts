import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import {
  followSignals,
  SignalError,
  type SignalExpectations,
  type SignalFault,
  type SignalKeys,
  type SignalSource,
  verifySignal,
} from '@passkey-manager/client';

const ISSUER = 'https://passkeys.bank.example';
const AUDIENCE = 'https://fraud.example';
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/credential-change';
type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'Ed25519';

function makeKey(kid: string, alg: Algorithm) {
  const pair =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : alg === 'Ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return { kid, alg, ...pair };
}
type Key = ReturnType<typeof makeKey>;

async function publish(...keys: Key[]): Promise<SignalKeys> {
  const jwks = keys.map(async ({ kid, alg, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }));
  return { keys: await Promise.all(jwks) } as SignalKeys;
}

const now = (): number => Math.floor(Date.now() / 1_000);

function makeClaims(members: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ...{ iss: ISSUER, aud: AUDIENCE, jti: 'j-1', iat: now(), txn: 't-1' },
    sub_id: { format: 'iss_sub', iss: 'https://login.bank.example', sub: 'ada' },
    events: { [REVOKED]: { change_type: 'revoke', credential_type: 'fido2-platform' } },
    ...members,
  };
}

const sign = (key: Key, claims = makeClaims(), header: object = {}): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ typ: 'secevent+jwt', alg: key.alg, kid: key.kid, ...header })
    .sign(key.privateKey);

const keys = (['RS256', 'PS256', 'ES256', 'Ed25519'] as const).map((alg) => makeKey(alg, alg));
const [rsa] = keys as [Key];
const jwks = await publish(...keys);
const EXPECTED: SignalExpectations = { issuer: ISSUER, audience: AUDIENCE, jwks };

async function findFault(set: Promise<string> | string, expected = EXPECTED): Promise<SignalFault | undefined> {
  try {
    await verifySignal(await set, expected);
    return undefined;
  } catch (error) {
    if (error instanceof SignalError) return error.reason;
    throw error;
  }
}

await describe('verifySignal', async () => {
  for (const key of keys) {
    await it(`takes a SET that ${key.alg} has signed`, async () => {
      const { jti, sub_id: subject, events } = await verifySignal(await sign(key), EXPECTED);
      assert.deepEqual([jti, subject, Object.keys(events)], ['j-1', makeClaims()['sub_id'], [REVOKED]]);
    });
  }

  const without = (name: string) => makeClaims({ [name]: undefined });
  const REFUSED: [string, SignalFault, () => Promise<string> | string][] = [
    ['no text of a JWS', 'malformed', () => 'set'],
    ['no signature', 'algorithm-denied', () => new UnsecuredJWT(makeClaims()).encode()],
    ['another key', 'signature-invalid', () => sign({ ...makeKey('RS256', 'RS256') })],
    ['an unknown key', 'key-unknown', () => sign({ ...rsa, kid: 'other' })],
    ['another typ', 'type-mismatch', () => sign(rsa, makeClaims(), { typ: 'JWT' })],
    ['another issuer', 'issuer-mismatch', () => sign(rsa, makeClaims({ iss: 'https://evil.example' }))],
    ['another audience', 'audience-mismatch', () => sign(rsa, makeClaims({ aud: 'https://other.example' }))],
    ...['jti', 'iat', 'events', 'sub_id'].map((name): [string, SignalFault, () => Promise<string>] => [
      `no ${name}`,
      'malformed',
      () => sign(rsa, without(name)),
    ]),
    ['a sub', 'malformed', () => sign(rsa, makeClaims({ sub: 'ada' }))],
    ['an exp', 'malformed', () => sign(rsa, makeClaims({ exp: now() + 60 }))],
    ['an exp that is over', 'malformed', () => sign(rsa, makeClaims({ exp: now() - 60 }))],
    ['no event', 'malformed', () => sign(rsa, makeClaims({ events: {} }))],
    ['two events', 'malformed', () => sign(rsa, makeClaims({ events: { a: {}, b: {} } }))],
    ['events as a list', 'malformed', () => sign(rsa, makeClaims({ events: [{}] }))],
    ['a time in the future', 'not-yet-valid', () => sign(rsa, makeClaims({ iat: now() + 120 }))],
  ];
  for (const [what, reason, make] of REFUSED) {
    await it(`refuses a SET with ${what} as ${reason}`, async () => {
      assert.equal(await findFault(make()), reason);
    });
  }

  await it('fetches the keys again for a key that it does not know, and keeps them', async () => {
    let asked = 0;
    const getSignalKeys = () => {
      asked += 1;
      return Promise.resolve(jwks);
    };
    const source = { getSignalKeys };
    const expected = { issuer: ISSUER, audience: AUDIENCE, jwksFrom: source };
    assert.equal(await findFault(sign(rsa), expected), undefined);
    assert.equal(await findFault(sign(rsa), expected), undefined);
    assert.equal(asked, 1);
  });
});

/** A stream that redelivers what is not acknowledged (RFC 8936 §2.4). */
class FakeStream implements SignalSource {
  readonly waiting = new Map<string, string>();
  readonly errors: Record<string, { err: string }> = {};
  readonly polls: object[] = [];
  failures = 0;

  getSignalKeys(): Promise<SignalKeys> {
    return Promise.resolve(jwks);
  }

  async pollSignals(
    _: string,
    poll: Parameters<SignalSource['pollSignals']>[1],
  ): Promise<{ sets: Record<string, string> }> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('no answer');
    }
    this.polls.push(poll);
    for (const jti of [...(poll.ack ?? []), ...Object.keys(poll.setErrs ?? {})]) this.waiting.delete(jti);
    Object.assign(this.errors, poll.setErrs);
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { sets: Object.fromEntries(this.waiting) };
  }
}

async function follow(stream: FakeStream, onSignal: (jti: string) => void, isDone: () => boolean): Promise<unknown[]> {
  const end = new AbortController();
  const failures: unknown[] = [];
  const following = followSignals(stream, {
    ...{ streamId: 's-1', issuer: ISSUER, audience: AUDIENCE, signal: end.signal },
    onSignal: ({ jti }) => {
      onSignal(jti);
    },
    onFailure: (error) => failures.push(error),
  });
  for (const deadline = Date.now() + 20_000; !isDone() && Date.now() < deadline;)
    await new Promise((resolve) => setTimeout(resolve, 5));
  end.abort();
  await following;
  return failures;
}

await describe('followSignals', async () => {
  const put = async (stream: FakeStream, ...ids: string[]): Promise<void> => {
    for (const jti of ids) stream.waiting.set(jti, await sign(rsa, makeClaims({ jti })));
  };

  await it('hands out each signal once, in order, and acknowledges it', async () => {
    const [stream, heard]: [FakeStream, string[]] = [new FakeStream(), []];
    await put(stream, 'a', 'b', 'c');
    const failures = await follow(
      stream,
      (jti) => heard.push(jti),
      () => stream.waiting.size === 0,
    );
    assert.deepEqual([heard, failures], [['a', 'b', 'c'], []]);
  });

  await it('hands out no signal twice that comes twice', async () => {
    const [stream, heard]: [FakeStream, string[]] = [new FakeStream(), []];
    await put(stream, 'a');
    const first = stream.waiting.get('a')!;
    await follow(
      stream,
      (jti) => heard.push(jti),
      () => {
        if (heard.length === 1 && stream.waiting.size === 0 && stream.polls.length < 4) stream.waiting.set('a', first);
        return stream.polls.length >= 6 && stream.waiting.size === 0;
      },
    );
    assert.deepEqual(heard, ['a']);
  });

  await it('acknowledges nothing that was not dealt with, and goes on where it was', async () => {
    const [stream, heard]: [FakeStream, string[]] = [new FakeStream(), []];
    await put(stream, 'a', 'b', 'c');
    let fails = true;
    const failures = await follow(
      stream,
      (jti) => {
        heard.push(jti);
        if (jti === 'b' && fails) {
          fails = false;
          throw new Error('the database is away');
        }
      },
      () => stream.waiting.size === 0,
    );
    assert.deepEqual([heard, failures.length], [['a', 'b', 'b', 'c'], 1]);
  });

  await it('reports what it refuses with the code of RFC 8935 §2.4, and goes on', async () => {
    const [stream, heard]: [FakeStream, string[]] = [new FakeStream(), []];
    stream.waiting.set('x', await sign(rsa, makeClaims({ jti: 'x', aud: 'https://other.example' })));
    stream.waiting.set('y', await sign(rsa, makeClaims({ jti: 'z' })));
    await put(stream, 'a');
    const failures = await follow(
      stream,
      (jti) => heard.push(jti),
      () => stream.waiting.size === 0,
    );
    assert.deepEqual(heard, ['a']);
    assert.deepEqual([stream.errors['x']!.err, stream.errors['y']!.err], ['invalid_audience', 'invalid_request']);
    assert.ok(failures.every((error) => error instanceof SignalError));
  });

  await it('keeps its acknowledgements while polls fail', async () => {
    const [stream, heard]: [FakeStream, string[]] = [new FakeStream(), []];
    await put(stream, 'a');
    const failures = await follow(
      stream,
      (jti) => {
        heard.push(jti);
        stream.failures = 1;
      },
      () => stream.waiting.size === 0,
    );
    assert.deepEqual([heard, failures.length], [['a'], 1]);
  });
});
