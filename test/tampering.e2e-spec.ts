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
    await service.sql(`UPDATE credential SET aaguid = gen_random_uuid() WHERE id = $1`, [credential.id]);
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
    const [victim] = await service.sql<{ handle: Buffer }>(
      `INSERT INTO user_handle (rp_id, user_id, handle, created_at)
       VALUES ('login.example.com', $1, $2, now()) RETURNING handle`,
      [`victim of ${credential.userId}`, Buffer.alloc(32, users)],
    );
    await rebind('user_id = $2', [`victim of ${credential.userId}`]);
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
        ...{ created_at: `created_at - interval '1 year'`, version: 'version + 1', transports: `'{usb}'` },
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
