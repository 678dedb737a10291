import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CredentialSample } from '../src/credentials/credential-sample.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { importLines, movePasskey } from './support/imports.js';
import { TestService } from './support/service.js';

/** A browser removes passkeys on a signal. So a change of the database by SQL must not be able to cause one. */

let service: TestService;
let log: AuditLog;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let user: string;
let users = 0;

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
  login = await service.relyingParty('login.example.com');
  await service.relyingParty('shop.example.org');
});
afterAll(() => service.stop());
beforeEach(async () => {
  user = `user-${String((users += 1))}`;
  authenticator = new Authenticator();
  credential = await login.registered(user, authenticator);
});

interface Accepted {
  rpId: string;
  userId: string;
  allAcceptedCredentialIds: string[];
}
interface Signals {
  allAcceptedCredentials: Accepted;
  otherHandles?: Accepted[];
}
const signals = () =>
  service.client.call<Signals>('auth-service', 'GET', `/v1/users/${user}/signals?rpId=${login.rpId}`);
const act = (verb: string) =>
  service.client.call('auth-service', 'POST', `/v1/credentials/${credential.id}/${verb}`, { reason: 'test' });
const change = (assignment: string, values: unknown[] = []): Promise<unknown> =>
  service.sql(`UPDATE credential SET ${assignment} WHERE id = $1`, [credential.id, ...values]);
const reported = async (): Promise<boolean> =>
  JSON.stringify(await log.events({ type: 'credential.tampered' })).includes(credential.id);

describe('GET /v1/users/{userId}/signals', () => {
  it.each<[string, string, unknown[]]>([
    ['its public key', 'public_key = $2', [Buffer.alloc(77)]],
    ['its credential id', 'credential_id = $2', [randomBytes(32)]],
    ['its status to revoked', "status = 'revoked'", []],
    ['its status to suspended', "status = 'suspended'", []],
  ])('returns no list while SQL has changed %s, and records that', async (_, assignment, values) => {
    await login.registered(user, new Authenticator());
    await change(assignment, values);
    const answer = await signals();
    expect(answer).toMatchObject(
      makeProblem(503, 'unavailable', { detail: expect.stringContaining('integrity check') }),
    );
    expect(answer.headers['retry-after']).toBe('60');
    expect(await reported()).toBe(true);
  });

  it('returns no list while SQL has changed a row that is revoked', async () => {
    await login.registered(user, new Authenticator());
    await act('revoke');
    expect(requireStatus(await signals(), 200).allAcceptedCredentials.allAcceptedCredentialIds).toHaveLength(1);
    await change('credential_id = $2', [randomBytes(32)]);
    expect(await signals()).toMatchObject(makeProblem(503, 'unavailable'));
    expect(await reported()).toBe(true);
  });

  it('returns the list again when the row is as it was', async () => {
    await change("status = 'revoked'");
    expect(await signals()).toMatchObject(makeProblem(503, 'unavailable'));
    await change("status = 'active'");
    const { allAcceptedCredentials } = requireStatus(await signals(), 200);
    expect(allAcceptedCredentials.allAcceptedCredentialIds).toEqual([credential.credentialId]);
  });
});

describe('the signals of a user whose imported passkeys have handles of their own', () => {
  const toText = (handle: Buffer): string => handle.toString('base64url');
  const move = (owner = user, ...rest: [changed?: object, userHandle?: Buffer]) =>
    movePasskey(authenticator, login.rpId, owner, ...rest);
  const send = async (...lines: object[]): Promise<void> => {
    const { summary } = await importLines(service.client, login.rpId, lines);
    expect(summary.counts['imported']).toBe(lines.length);
  };
  const read = async (): Promise<Signals> => requireStatus(await signals(), 200);
  const readOthers = async (): Promise<string[]> => {
    const { allAcceptedCredentials, otherHandles = [] } = await read();
    const { allAcceptedCredentialIds } = allAcceptedCredentials;
    for (const other of otherHandles) expect(other).toMatchObject({ rpId: login.rpId, allAcceptedCredentialIds });
    return otherHandles.map(({ userId }) => userId).sort();
  };

  it('have no other handle where every passkey has that of the user', async () => {
    await send(move(user, {}, authenticator.newest.userHandle));
    const answer = await read();
    expect(Object.keys(answer)).toEqual(['allAcceptedCredentials']);
    expect(answer.allAcceptedCredentials.allAcceptedCredentialIds).toHaveLength(2);
  });

  it('have an argument for each handle, with all passkeys that the browser keeps', async () => {
    const own = toText(authenticator.newest.userHandle);
    const [one, other] = [randomBytes(16), randomBytes(64)];
    const lines = [move(user, {}, one), move(user, {}, one), move(user, {}, other)];
    await send(...lines);
    const { allAcceptedCredentials } = await read();
    expect(allAcceptedCredentials.userId).toBe(own);
    const ids = [credential.credentialId, ...lines.map(({ credentialId }) => credentialId)];
    expect([...allAcceptedCredentials.allAcceptedCredentialIds].sort()).toEqual(ids.sort());
    expect(await readOthers()).toEqual([toText(one), toText(other)].sort());
  });

  it('have the handle of a passkey that is revoked, so that its authenticator forgets it', async () => {
    const handle = randomBytes(16);
    await send(move(user, { status: 'revoked' }, handle));
    const { otherHandles } = await read();
    expect(otherHandles).toEqual([
      { rpId: login.rpId, userId: toText(handle), allAcceptedCredentialIds: [credential.credentialId] },
    ]);
  });

  it('have a handle that nobody kept once a sign-in has told it', async () => {
    await send(move(user, { userHandle: null }));
    expect(await readOthers()).toEqual([]);
    const { newest } = authenticator;
    await login.authenticated(authenticator, { interference: { passkey: newest } });
    expect(await readOthers()).toEqual([toText(newest.userHandle)]);
  });

  it('do not have a handle that an authenticator told and that is of another user, or of a passkey of another user', async () => {
    const another = `another-${user}`;
    const victim = new Authenticator();
    await login.registered(another, victim);
    const imported = randomBytes(16);
    await send(movePasskey(victim, login.rpId, another, {}, imported));
    await send(move(user, { userHandle: null }));
    await login.authenticated(authenticator, {
      interference: { passkey: authenticator.newest, userHandle: victim.passkeys[0]!.userHandle },
    });
    await send(move(user, { userHandle: null }));
    await login.authenticated(authenticator, {
      interference: { passkey: authenticator.newest, userHandle: imported },
    });
    const { data } = requireStatus(
      await service.client.call<{ data: Credential[] }>(
        'auth-service',
        'GET',
        `/v1/credentials?rpId=${login.rpId}&userId=${user}`,
      ),
      200,
    );
    expect(data).toHaveLength(3);
    expect(await readOthers()).toEqual([]);
  });

  it('are none while SQL has changed the handle of a passkey', async () => {
    await send(move(user));
    await service.sql('UPDATE credential SET user_handle = $2 WHERE user_id = $1 AND user_handle IS NOT NULL', [
      user,
      randomBytes(16),
    ]);
    expect(await signals()).toMatchObject(makeProblem(503, 'unavailable'));
  });

  it('empty every handle after the erasure of the user', async () => {
    await send(move(user), move(user));
    const before = await read();
    await service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${login.rpId}`);
    const after = (await loadClient()).makeErasureSignals(before);
    expect(after.otherHandles).toHaveLength(2);
    expect(after.otherHandles).toEqual(
      before.otherHandles!.map((accepted) => ({ ...accepted, allAcceptedCredentialIds: [] })),
    );
  });
});

interface SignalClient {
  makeErasureSignals: (before: Signals) => Signals;
}
const loadClient = async (): Promise<SignalClient> =>
  (await import(join(import.meta.dirname, '../clients/typescript/src/client.ts'))) as SignalClient;

describe('the erasure of a user', () => {
  it('leaves a signal by which the browser of a caller that asked before removes every passkey of the user', async () => {
    const { makeErasureSignals: signalsAfterErasure } = await loadClient();
    const before = requireStatus(await signals(), 200);
    const path = `/v1/users/${user}?rpId=${login.rpId}`;
    expect(await service.client.call('operator', 'DELETE', path)).toMatchObject({ status: 204, body: undefined });
    expect(await signals()).toMatchObject(makeProblem(404, 'not-found'));
    expect(signalsAfterErasure(before).allAcceptedCredentials).toEqual({
      rpId: login.rpId,
      userId: authenticator.newest.userHandle.toString('base64url'),
      allAcceptedCredentialIds: [],
    });
  });
});

describe('the refusal of a passkey that is not found', () => {
  const refused = async (named: boolean, interference = {}) => {
    const answer = await login.authenticate(authenticator, {
      challenge: named ? { userId: user } : {},
      interference: { passkey: authenticator.newest, ...interference },
    });
    expect(answer).toMatchObject(makeProblem(422, 'authentication-rejected', { reason: 'credential-unknown' }));
    return answer.body as unknown as { signal?: object };
  };
  const SIGNAL = { signal: { unknownCredential: expect.any(Object) } };

  it.each([true, false])('tells the browser to forget it (user named: %s)', async (named) => {
    const passkey = { ...authenticator.newest, id: randomBytes(32) };
    expect(await refused(named, { passkey })).toMatchObject(SIGNAL);
  });

  it('tells the browser to forget it after the user was erased', async () => {
    await service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${login.rpId}`);
    expect(await refused(false)).toMatchObject(SIGNAL);
  });

  it.each<[string, boolean, string, unknown[]]>([
    ['the credential id', true, 'credential_id = $2', [randomBytes(32)]],
    ['the credential id', false, 'credential_id = $2', [randomBytes(32)]],
    ['the relying party', true, "rp_id = 'shop.example.org'", []],
    ['the relying party', false, "rp_id = 'shop.example.org'", []],
  ])('gives the browser no signal while SQL has changed %s (user named: %s)', async (_, named, assignment, values) => {
    await change(assignment, values);
    expect(await refused(named)).not.toHaveProperty('signal');
    expect(await reported()).toBe(true);
  });

  it('gives the browser no signal while SQL has changed another passkey of the user, such as a revoked one', async () => {
    await act('revoke');
    await change('public_key = $2', [Buffer.alloc(77)]);
    const passkey = { ...authenticator.newest, id: randomBytes(32) };
    expect(await refused(false, { passkey })).not.toHaveProperty('signal');
  });

  it('gives the browser no signal when the request names no user', async () => {
    const passkey = { ...authenticator.newest, id: randomBytes(32) };
    expect(await refused(false, { passkey, userHandle: null })).not.toHaveProperty('signal');
  });
});

const ready = async ({ running: { managementUrl } }: TestService): Promise<unknown> => {
  const response = await fetch(`${managementUrl}/health/ready`);
  return response.json();
};
const takeSample = (): Promise<void> => service.running.app.get(CredentialSample, { strict: false }).takeIfDue();

describe('a row that SQL changed', () => {
  it('is mentioned by readiness and does not end it, although it is the only one', async () => {
    await service.sql('DELETE FROM credential WHERE user_id <> $1', [user]);
    await change("status = 'revoked'");
    expect(await signals()).toMatchObject(makeProblem(503, 'unavailable'));
    await takeSample();
    const indicator = { status: 'up', rows: 1, failed: 1, runbook: 'docs/runbook.md#credentialtampered-is-recorded' };
    expect(await ready(service)).toMatchObject({ status: 'ok', details: { binding_key: indicator } });
    await change("status = 'active'");
    await takeSample();
    expect(await ready(service)).toMatchObject({ status: 'ok', details: { binding_key: { status: 'up' } } });
  });
});

describe('a binding key that does not fit the rows', () => {
  it('ends the start with a sentence that names the file', async () => {
    // Every test deployment has its own key.
    const starting = TestService.start({ databaseUrl: () => Promise.resolve(service.database.url) });
    await expect(starting).rejects.toThrow(/PASSKEY_BINDING_KEY_FILE lacks the key [0-9a-f]{8}, which has sealed rows/);
  });

  it('is mentioned by readiness if the check values are gone, too, and no browser forgets a passkey', async () => {
    await service.sql('DELETE FROM key_check_value; DELETE FROM seal_key');
    const other = await TestService.start({
      databaseUrl: () => Promise.resolve(service.database.url),
      env: { PASSKEY_AUDIT_KEY_FILE: join(service.dataDir, 'audit.key') },
    });
    try {
      const [{ count }] = (await service.sql<{ count: number }>('SELECT count(*)::integer FROM credential')) as [
        { count: number },
      ];
      expect(await ready(other)).toMatchObject({ details: { binding_key: { rows: count, failed: count } } });
      const path = `/v1/users/${user}/signals?rpId=${login.rpId}`;
      expect(await other.client.call('auth-service', 'GET', path)).toMatchObject(
        makeProblem(404, 'relying-party-unknown'),
      );
    } finally {
      await other.stop();
    }
  });
});
