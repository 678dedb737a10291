import { randomUUID } from 'node:crypto';
import { Refusals } from '../src/audit/refusals.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { generateKey } from './support/authenticator/keys.js';
import { type Credential, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

/** Anyone who can write only to the database must not be able to transfer a passkey to another user. */

let service: TestService;
let log: AuditLog;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let users = 0;
/** A pseudonym that no user has. */
const STRANGE_UID = '0197a4d5-3f2c-4c1e-9a56-5d0c1b7e8f42';

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());
beforeEach(async () => {
  authenticator = new Authenticator();
  credential = await login.registered(`user-${String((users += 1))}`, authenticator);
});

const act = (verb: string): Promise<unknown> =>
  service.client.call('auth-service', 'POST', `/v1/credentials/${credential.id}/${verb}`, { reason: 'test' });

async function expectReport(): Promise<void> {
  const events = await log.events({ type: 'credential.tampered' });
  expect(JSON.stringify(events)).toContain(credential.id);
}

describe('a changed row that is read again and again', () => {
  it('costs ten records a minute, which give the number of refusals', async () => {
    await service.sql('UPDATE credential SET aaguid = $2 WHERE id = $1', [credential.id, randomUUID()]);
    for (let read = 0; read < 25; read += 1) {
      const { status } = await service.client.call('auth-service', 'GET', `/v1/credentials/${credential.id}`);
      expect(status).toBe(404);
    }
    const ofRow = async () =>
      (await log.events({ type: 'credential.tampered', credentialId: credential.credentialId })).map(({ unmapped }) =>
        Number(unmapped?.['refused_before_unrecorded'] ?? 0),
      );
    // Every ten seconds, a further record tells the number of those that are only counted.
    expect((await ofRow()).filter((before) => before === 0)).toHaveLength(10);
    await service.running.app.get(Refusals).write();
    expect((await ofRow()).reduce((sum, before) => sum + 1 + before, 0)).toBe(25);
  });
});

describe('a row that SQL rebinds', () => {
  const rebind = (assignment: string, values: unknown[] = []): Promise<unknown> =>
    service.sql(`UPDATE credential SET ${assignment} WHERE id = $1`, [credential.id, ...values]);

  it('to another user is refused and reported', async () => {
    const { userId } = await login.registered(`victim of ${credential.userId}`, new Authenticator());
    const [victim] = await service.sql<{ handle: Buffer }>('SELECT handle FROM user_handle WHERE user_id = $1', [
      userId,
    ]);
    await rebind('user_id = $2', [userId]);
    const answer = await login.authenticate(authenticator, { interference: { userHandle: victim?.handle ?? null } });
    expect(answer.status).toBe(422);
    await expectReport();
  });

  it('to another key is refused and reported', async () => {
    const key = generateKey('ES256');
    await rebind('public_key = $2', [key.cose]);
    const answer = await login.authenticate(authenticator, {
      interference: { passkey: { ...authenticator.newest, key } },
    });
    expect(answer.status).toBe(422);
    await expectReport();
  });

  it('to another credential id is refused and reported', async () => {
    const id = Buffer.from(`another id ${credential.id}`);
    await rebind('credential_id = $2', [id]);
    const answer = await login.authenticate(authenticator, {
      interference: { passkey: { ...authenticator.newest, id } },
    });
    expect(answer.status).toBe(422);
    await expectReport();
  });

  it('to another relying party is refused', async () => {
    const other = await service.relyingParty('other.example.com');
    await rebind("rp_id = 'other.example.com'");
    const moved = { ...authenticator.newest, rpId: 'other.example.com' };
    expect((await other.authenticate(authenticator, { interference: { passkey: moved } })).status).toBe(422);
    await expectReport();
  });

  it.each(['suspend', 'revoke'])('back to active after %s is refused and reported', async (verb) => {
    await act(verb);
    await rebind("status = 'active', status_reason = NULL");
    expect((await login.authenticate(authenticator)).status).toBe(422);
    await expectReport();
  });

  it('to no backup eligibility is refused and reported', async () => {
    await rebind('backup_eligible = false');
    const answer = await login.authenticate(authenticator, { interference: { flags: { BE: false, BS: false } } });
    expect(answer.status).toBe(422);
    await expectReport();
  });

  it.each(['name', 'user_verified', 'attestation_trust', 'created_at', 'version', 'transports'])(
    'to another %s is refused and reported, because it would be shown as a fact',
    async (column) => {
      const value = {
        ...{ name: `'Mine'`, user_verified: 'NOT user_verified', attestation_trust: `'trusted'` },
        ...{ created_at: `'2020-01-01T00:00:00Z'`, version: 'version + 1', transports: `'{usb}'` },
      }[column];
      await rebind(`${column} = ${value!}`);
      expect((await login.authenticate(authenticator)).status).toBe(422);
      await expectReport();
    },
  );

  it('to a lower sign count, which a clone of the authenticator needs, is refused and reported', async () => {
    await login.authenticated(authenticator, { interference: { signCount: 5 } });
    await rebind('sign_count = 1');
    expect((await login.authenticate(authenticator, { interference: { signCount: 4 } })).status).toBe(422);
    await expectReport();
  });

  it('to the MAC of another row is refused and reported', async () => {
    const other = await login.registered(credential.userId, new Authenticator());
    await rebind('binding_mac = (SELECT binding_mac FROM credential WHERE id = $2)', [other.id]);
    expect((await login.authenticate(authenticator)).status).toBe(422);
    await expectReport();
  });

  it('is not repaired by a change through the service', async () => {
    await rebind('public_key = $2', [generateKey('ES256').cose]);
    await act('suspend');
    await act('reinstate');
    expect((await login.authenticate(authenticator)).status).toBe(422);
    await expectReport();
  });
});

describe('a user whose row SQL changes', () => {
  let other: Credential;
  beforeEach(async () => {
    other = await login.registered(`other of ${credential.userId}`, new Authenticator());
  });

  it.each([
    [`handle = '\\x07'`],
    [`audit_uid = '${STRANGE_UID}'`],
    ['seal = NULL'],
    [`seal = (SELECT seal FROM user_handle WHERE user_id = $2)`],
    [`user_id = $2 || ' moved'`],
  ])('cannot sign in, is shown no passkey, gets no new one, and is reported: %s', async (change) => {
    const { userId } = credential;
    const values = change.includes('$2') ? [userId, other.userId] : [userId];
    const before = await log.events({ type: 'user.tampered' });
    const issued = requireStatus(await login.requestAuthentication({ userId }), 201);
    const response = authenticator.get(issued.publicKey, login.origin);
    await service.sql(`UPDATE user_handle SET ${change} WHERE user_id = $1`, values);
    const mismatch = { status: 422, body: { reason: 'user-handle-mismatch' } };
    expect(await login.answerAuthentication(issued.challengeId, response)).toMatchObject(mismatch);
    expect(await login.authenticate(authenticator)).toMatchObject(mismatch);
    if (change.startsWith('user_id')) return;
    const { publicKey } = requireStatus(await login.requestAuthentication({ userId }), 201);
    expect(publicKey.allowCredentials?.map(({ id }) => id)).not.toContain(credential.credentialId);
    expect(await login.requestRegistration(userId)).toMatchObject(makeProblem(503, 'unavailable'));
    const signals = `/v1/users/${userId}/signals?rpId=login.example.com`;
    expect(await service.client.call('auth-service', 'GET', signals)).toMatchObject(makeProblem(503, 'unavailable'));
    expect((await log.events({ type: 'user.tampered' })).length).toBeGreaterThan(before.length);
  });

  it('has no other user’s events when two pseudonyms are swapped', async () => {
    const setUid = (userId: string, uid: string): Promise<unknown> =>
      service.sql('UPDATE user_handle SET audit_uid = $2 WHERE user_id = $1', [userId, uid]);
    const [one, two] = await service.sql<{ user_id: string; audit_uid: string }>(
      'SELECT user_id, audit_uid FROM user_handle WHERE user_id = ANY ($1)',
      [[credential.userId, other.userId]],
    );
    await setUid(one!.user_id, randomUUID());
    await setUid(two!.user_id, one!.audit_uid);
    await setUid(one!.user_id, two!.audit_uid);
    const shown = await log.events({ userId: credential.userId });
    expect(JSON.stringify(shown)).not.toContain(other.id);
    const [registered] = await log.events({ type: 'credential.register', credentialId: other.id });
    expect(JSON.stringify(registered)).not.toContain(credential.userId);
  });

  it('is erased all the same, because whoever asks for an erasure gets it', async () => {
    await service.sql(`UPDATE user_handle SET handle = '\\x07' WHERE user_id = $1`, [credential.userId]);
    const path = `/v1/users/${credential.userId}?rpId=login.example.com`;
    requireStatus(await service.client.call('operator', 'DELETE', path), 204);
    expect(await service.sql('SELECT FROM user_handle WHERE user_id = $1', [credential.userId])).toEqual([]);
  });
});

describe('a relying party that SQL changes', () => {
  it.each([
    `origins = origins || '{https://attacker.example}'`,
    `policy = jsonb_set(policy, '{userVerification}', '"discouraged"')`,
    'seal = NULL',
  ])('is refused in every ceremony and reported: %s', async (change) => {
    const rp = await service.relyingParty(`changed-${String(users)}.example.com`);
    const path = `/v1/relying-parties/${rp.rpId}`;
    const { body: settings } = await service.client.call('operator', 'GET', path);
    const passkey = new Authenticator();
    await rp.registered('user-1', passkey);
    const issued = requireStatus(await rp.requestAuthentication(), 201);
    const response = passkey.get(issued.publicKey, `https://${rp.rpId}`);
    await service.sql(`UPDATE relying_party SET ${change} WHERE rp_id = $1`, [rp.rpId]);
    // A copy serves for a second.
    await until(async () => (await rp.requestAuthentication()).status === 404);
    expect(await rp.requestRegistration('user-1')).toMatchObject(makeProblem(404, 'relying-party-unknown'));
    expect(await rp.answerAuthentication(issued.challengeId, response)).toMatchObject(
      makeProblem(403, 'relying-party-denied'),
    );
    expect(await service.client.call('operator', 'GET', path)).toMatchObject(makeProblem(404, 'relying-party-unknown'));
    expect(JSON.stringify(await log.events({ type: 'relying-party.tampered' }))).toContain(rp.rpId);
    requireStatus(await service.client.call('operator', 'PUT', path, settings), 200);
    await until(async () => (await rp.authenticate(passkey)).status === 200);
  });
});

it('a row that the service itself changes stays valid', async () => {
  await act('suspend');
  await act('reinstate');
  await service.client.call('auth-service', 'PATCH', `/v1/credentials/${credential.id}`, { name: 'Renamed' });
  await login.authenticated(authenticator, { interference: { signCount: 5, flags: { BS: false } } });
  expect(await login.authenticate(authenticator, { interference: { signCount: 6 } })).toMatchObject({ status: 200 });
});
