import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CredentialSample } from '../src/credentials/credential-sample.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
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

interface Signals {
  allAcceptedCredentials: { rpId: string; userId: string; allAcceptedCredentialIds: string[] };
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

describe('the erasure of a user', () => {
  it('leaves a signal by which the browser of a caller that asked before removes every passkey of the user', async () => {
    const client = join(import.meta.dirname, '../clients/typescript/src/client.ts');
    const { makeErasureSignals: signalsAfterErasure } = (await import(client)) as {
      makeErasureSignals: (before: Signals) => Signals;
    };
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
