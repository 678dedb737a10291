import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CREDENTIAL_CHANGE } from '../src/signals/event-types.js';
import { Reconciler } from '../src/reconciliation/reconciler.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeAuthenticationRejected, makeProblem, type Page } from './support/bodies.js';
import { Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { type Replica, TestService } from './support/service.js';

const SPENT = makeProblem(409, 'challenge-spent');
const REASON = 'account taken over';

let service: TestService;
let other: Replica;
let log: AuditLog;
let login: Ceremonies<string>;
/** The same relying party, at the other replica. */
let elsewhere: Ceremonies<string>;
let user: string;
let users = 0;

beforeAll(async () => {
  service = await TestService.start();
  other = await service.startReplica();
  log = new AuditLog(service.client);
  login = await service.relyingParty('login.example.com', { maxCredentialsPerUser: 64 });
  elsewhere = new Ceremonies(other.client, service.clock, 'auth-service', login.rpId);
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});
beforeEach(() => {
  user = `user-${String((users += 1))}`;
});

type Revoked = Answer<{ revoked: number }>;
const revoke = (of = user, rpId = login.rpId, client = service.client): Promise<Revoked> =>
  client.call('auth-service', 'POST', `/v1/users/${of}/revoke?rpId=${rpId}`, { reason: REASON });
const act = (verb: string, id: string): Promise<Answer<Credential>> =>
  service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${verb}`, { reason: verb });
const listPasskeys = async (): Promise<Credential[]> => {
  const path = `/v1/credentials?userId=${user}&rpId=${login.rpId}`;
  return requireStatus(await service.client.call<Page<Credential>>('auth-service', 'GET', path), 200).data;
};
const readStatus = (): Promise<{ id: string; status: string }[]> =>
  service.sql('SELECT id, status FROM credential WHERE user_id = $1 ORDER BY id', [user]);
const repeat = <Item>(times: number, make: (index: number) => Item): Item[] =>
  Array.from({ length: times }, (_, index) => make(index));

describe('POST /v1/users/{userId}/revoke', () => {
  it('revokes the active and the suspended passkeys of the user, and leaves those that are revoked as they are', async () => {
    const authenticators = repeat(4, () => new Authenticator());
    const passkeys: Credential[] = [];
    for (const authenticator of authenticators) passkeys.push(await login.registered(user, authenticator));
    await act('suspend', passkeys[1]!.id);
    const { body: gone } = await act('revoke', passkeys[2]!.id);
    expect(await revoke()).toMatchObject({ status: 200, body: { revoked: 3 } });
    const after = await listPasskeys();
    expect(after.map(({ status }) => status)).toEqual(Array(4).fill('revoked'));
    expect(after.map(({ statusReason }) => statusReason)).toEqual([REASON, REASON, 'revoke', REASON]);
    expect(after[2]).toEqual(gone);
    for (const authenticator of authenticators)
      expect(await login.authenticate(authenticator)).toMatchObject(makeAuthenticationRejected('credential-revoked'));
  });

  it('answers 0 when it is repeated, and for a user whom nobody knows, and records each', async () => {
    await login.registered(user, new Authenticator());
    const events = await log.collectDuring(async () => {
      expect((await revoke()).body).toEqual({ revoked: 1 });
      expect((await revoke()).body).toEqual({ revoked: 0 });
      expect((await revoke('nobody')).body).toEqual({ revoked: 0 });
    });
    expect(events.map(({ metadata }) => metadata.event_code)).toEqual([
      'credential.revoke',
      'user.revoke',
      'user.revoke',
      'user.revoke',
    ]);
    expect(events[1]).toMatchObject({
      actor: { app_uid: expect.stringContaining('auth-service') },
      unmapped: { credentials: 1, status_reason: REASON, rp_id: login.rpId },
    });
    expect(events[2]).toMatchObject({ unmapped: { credentials: 0 } });
  });

  it('records one event for each passkey, from which the walk through all rows knows its version', async () => {
    const passkeys = await Promise.all(repeat(3, () => login.registered(user, new Authenticator())));
    const events = await log.collectDuring(() => revoke());
    const revocations = events.filter(({ metadata }) => metadata.event_code === 'credential.revoke');
    expect(revocations.map(({ unmapped }) => unmapped)).toEqual(
      passkeys
        .map(({ id }) => id)
        .toSorted()
        .map((id) =>
          expect.objectContaining({
            credential: expect.objectContaining({ uid: id }),
            ...{ credential_version: 2, status: 'revoked', status_before: 'active', status_reason: REASON },
          }),
        ),
    );
  });

  it('changes nothing of other users and of the user at another relying party', async () => {
    const shop = await service.relyingParty('shop.example.org');
    const [mine, there] = [new Authenticator(), new Authenticator()];
    await login.registered(`${user}-2`, mine);
    await shop.registered(user, there);
    await login.registered(user, new Authenticator());
    expect((await revoke()).body).toEqual({ revoked: 1 });
    await login.authenticated(mine);
    await shop.authenticated(there);
  });

  it('lets the user register again, with the same handle, so that the browser can be told to forget the old passkeys', async () => {
    await login.registered(user, new Authenticator());
    const before = requireStatus(await login.requestRegistration(user), 201).publicKey.user.id;
    await revoke();
    const authenticator = new Authenticator();
    const { credentialId } = await login.registered(user, authenticator);
    await login.authenticated(authenticator);
    const path = `/v1/users/${user}/signals?rpId=${login.rpId}`;
    expect((await service.client.call('auth-service', 'GET', path)).body).toEqual({
      allAcceptedCredentials: { rpId: login.rpId, userId: before, allAcceptedCredentialIds: [credentialId] },
    });
  });

  it.each<[string, string, unknown, ReturnType<typeof makeProblem>]>([
    ['without a reason', `?rpId=login.example.com`, {}, makeProblem(400, 'request-malformed')],
    ['with an empty reason', `?rpId=login.example.com`, { reason: '' }, makeProblem(400, 'request-malformed')],
    [
      'with another member',
      `?rpId=login.example.com`,
      { reason: 'x', all: true },
      makeProblem(400, 'request-malformed'),
    ],
    ['without a relying party', '', { reason: 'x' }, makeProblem(400, 'request-malformed')],
    [
      'of a relying party that is unknown',
      '?rpId=nowhere.example',
      { reason: 'x' },
      makeProblem(404, 'relying-party-unknown'),
    ],
  ])('refuses a request %s, and changes nothing', async (_, query, body, problem) => {
    await login.registered(user, new Authenticator());
    const before = await service.digestTables();
    const answer = await service.client.call('auth-service', 'POST', `/v1/users/${user}/revoke${query}`, body);
    expect(answer).toMatchObject(problem);
    expect(await service.digestTables()).toEqual(before);
  });
});

describe('the receivers of signals', () => {
  const openStream = (relyingParties: string[] | null) =>
    service.sql(
      `INSERT INTO signal_stream (id, owner, aud, relying_parties, events_requested, events_delivered, delivery_method, status, created_at, updated_at, active_at)
       VALUES (gen_random_uuid(), 'x', 'x', $1, '{}', $2, 'urn:ietf:rfc:8936', 'paused', now(), now(), now())`,
      [relyingParties, [CREDENTIAL_CHANGE]],
    );

  it('hear of each passkey once, at each stream of the relying party, and of none that was revoked before', async () => {
    const passkeys = await Promise.all(repeat(3, () => login.registered(user, new Authenticator())));
    await act('revoke', passkeys[0]!.id);
    for (const relyingParties of [null, [login.rpId], ['other.example']]) await openStream(relyingParties);
    expect((await revoke()).body).toEqual({ revoked: 2 });
    expect((await revoke()).body).toEqual({ revoked: 0 });
    const signals = await service.sql<{ kind: string; user_id: string; facts: { reason: string } }>(
      'SELECT kind, user_id, facts FROM signal ORDER BY seq',
    );
    await service.sql('DELETE FROM signal_stream');
    await service.sql('DELETE FROM signal');
    expect(signals).toHaveLength(4);
    for (const signal of signals) {
      expect(signal).toMatchObject({
        kind: 'revoke',
        user_id: user,
        facts: { reason: expect.stringContaining(REASON) },
      });
    }
  });
});

describe('a revocation that fails half-way', () => {
  it('revokes no passkey, records nothing and ends no registration', async () => {
    const authenticator = new Authenticator();
    await login.registered(user, authenticator);
    await login.registered(user, new Authenticator());
    const { challengeId, publicKey } = requireStatus(await login.requestRegistration(user), 201);
    await service.sql(`ALTER TABLE audit_event ADD CONSTRAINT stop CHECK (type <> 'user.revoke') NOT VALID`);
    const before = await service.digestTables();
    try {
      expect((await revoke()).status).toBe(503);
    } finally {
      await service.sql('ALTER TABLE audit_event DROP CONSTRAINT stop');
    }
    expect(await service.digestTables()).toEqual(before);
    const answer = new Authenticator().create(publicKey, login.origin);
    requireStatus(await login.answerRegistration(challengeId, answer), 201);
    await login.authenticated(authenticator);
    expect((await revoke()).body).toEqual({ revoked: 3 });
  });
});

describe('a registration that had begun when its user was revoked', () => {
  it('ends with its first answer, and nothing is registered, at any replica', async () => {
    const challenges = [];
    for (const rp of [login, elsewhere, login]) challenges.push(requireStatus(await rp.requestRegistration(user), 201));
    expect((await revoke()).body).toEqual({ revoked: 0 });
    for (const [index, { challengeId, publicKey }] of challenges.entries()) {
      const answer = new Authenticator().create(publicKey, login.origin);
      const rp = index === 0 ? elsewhere : login;
      expect(await rp.answerRegistration(challengeId, answer)).toMatchObject({
        ...SPENT,
        body: { detail: expect.stringContaining('revoked') },
      });
      expect(await rp.answerRegistration(challengeId, answer)).toMatchObject(SPENT);
    }
    expect(await readStatus()).toEqual([]);
  });

  it('ends also if the user was revoked twice since, and one that begins between ends, too', async () => {
    const first = requireStatus(await login.requestRegistration(user), 201);
    await revoke();
    const second = requireStatus(await login.requestRegistration(user), 201);
    await revoke();
    for (const { challengeId, publicKey } of [first, second]) {
      const answer = new Authenticator().create(publicKey, login.origin);
      expect(await login.answerRegistration(challengeId, answer)).toMatchObject(SPENT);
    }
    await login.registered(user, new Authenticator());
  });
});

describe('a revocation of a user that comes at the same time as', () => {
  const ROUNDS = 8;

  it('registrations of that user leaves no passkey of a registration that began before', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      user = `user-${String((users += 1))}`;
      const begun = await Promise.all(
        repeat(6, async (index) => requireStatus(await (index % 2 ? login : elsewhere).requestRegistration(user), 201)),
      );
      const answers = begun.map(({ challengeId, publicKey }, index) => ({
        rp: index % 3 ? login : elsewhere,
        challengeId,
        response: new Authenticator().create(publicKey, login.origin),
      }));
      const [revoked, ...registered] = await Promise.all([
        revoke(),
        ...answers.map(({ rp, challengeId, response }) => rp.answerRegistration(challengeId, response)),
      ]);
      const stored = registered.filter(({ status }) => status === 201).length;
      expect(registered.every(({ status }) => status === 201 || status === 409)).toBe(true);
      expect(revoked.body).toEqual({ revoked: stored });
      expect((await readStatus()).map(({ status }) => status)).toEqual(Array(stored).fill('revoked'));
    }
  });

  it('sign-ins, renames, suspensions and reinstatements leaves nothing that is not revoked', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      user = `user-${String((users += 1))}`;
      const authenticators = repeat(3, () => new Authenticator());
      const passkeys: Credential[] = [];
      for (const authenticator of authenticators) passkeys.push(await login.registered(user, authenticator));
      const [first, second, third] = passkeys.map(({ id }) => id);
      await act('suspend', third!);
      const answers = await Promise.all([
        login.authenticate(authenticators[0]!),
        elsewhere.authenticate(authenticators[1]!),
        service.client.call('auth-service', 'PATCH', `/v1/credentials/${first!}`, { name: 'Mine' }),
        revoke(),
        act('suspend', second!),
        act('reinstate', third!),
        act('revoke', first!),
      ]);
      expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
      expect((await readStatus()).map(({ status }) => status)).toEqual(Array(3).fill('revoked'));
      for (const authenticator of authenticators)
        expect(await login.authenticate(authenticator)).toMatchObject(makeAuthenticationRejected('credential-revoked'));
    }
  });

  it('itself, at two replicas, counts each passkey once', async () => {
    await Promise.all(repeat(5, () => login.registered(user, new Authenticator())));
    const answers = await Promise.all(
      repeat(10, (index) => revoke(user, login.rpId, index % 2 ? other.client : service.client)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(answers.map(({ body }) => body.revoked).toSorted()).toEqual([...Array<number>(9).fill(0), 5]);
    const events = (await log.events({ type: 'credential.revoke', userId: user })).length;
    expect(events).toBe(5);
  });

  it('the erasure of that user ends without a failure, and with nothing that can be used', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      user = `user-${String((users += 1))}`;
      await Promise.all(repeat(3, () => login.registered(user, new Authenticator())));
      const [erased, revoked] = await Promise.all([
        service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${login.rpId}`),
        revoke(user, login.rpId, other.client),
      ]);
      expect(erased.status).toBe(204);
      expect([0, 3]).toContain(revoked.body.revoked);
      expect(await readStatus()).toEqual([]);
    }
  });
});

describe('a row of the user that something other than the service changed', () => {
  const tampered = async (id: string): Promise<boolean> =>
    JSON.stringify(await log.events({ type: 'credential.tampered' })).includes(id);

  it.each<[string, string, number]>([
    ['its name', `name = 'changed'`, 2],
    ['its version, to the highest number', 'version = 2147483647', 2],
    ['its status, to revoked', `status = 'revoked'`, 1],
  ])('is reported, does not hold up the others, and stays unusable: %s', async (_, assignment, revoked) => {
    const [hit, spared] = [new Authenticator(), new Authenticator()];
    const { id } = await login.registered(user, hit);
    await login.registered(user, spared);
    await service.sql(`UPDATE credential SET ${assignment} WHERE id = $1`, [id]);
    expect((await revoke()).body).toEqual({ revoked });
    expect(await tampered(id)).toBe(true);
    expect((await readStatus()).map(({ status }) => status)).toEqual(['revoked', 'revoked']);
    // The service does not confirm what it did not write.
    const path = `/v1/credentials/${id}`;
    expect(await service.client.call('auth-service', 'GET', path)).toMatchObject(
      makeProblem(404, 'credential-unknown'),
    );
    expect(await login.authenticate(spared)).toMatchObject(makeAuthenticationRejected('credential-revoked'));
    expect((await revoke()).body).toEqual({ revoked: 0 });
  });

  it('is found by the walk through all rows, if the row before the change comes back', async () => {
    const { id } = await login.registered(user, new Authenticator());
    await service.sql(`CREATE TABLE kept AS SELECT * FROM credential WHERE id = '${id}'`);
    await service.sql(`UPDATE credential SET status = 'revoked' WHERE id = $1`, [id]);
    await revoke();
    await service.sql(`DELETE FROM credential WHERE id = $1`, [id]);
    await service.sql('INSERT INTO credential SELECT * FROM kept');
    const reconciler = service.running.app.get(Reconciler, { strict: false });
    for (let page = 0; page < 30; page += 1) {
      service.clock.advance(61);
      await reconciler.tick();
    }
    service.clock.reset();
    expect(JSON.stringify(await log.events({ type: 'reconciliation.finding' }))).toContain(id);
    await service.sql('DROP TABLE kept');
  });

  it('may be the user’s own: the passkeys are revoked and open registrations end all the same', async () => {
    const authenticator = new Authenticator();
    await login.registered(user, authenticator);
    const { challengeId, publicKey } = requireStatus(await login.requestRegistration(user), 201);
    await service.sql('UPDATE user_handle SET audit_uid = $2 WHERE user_id = $1', [user, randomUUID()]);
    expect((await revoke()).body).toEqual({ revoked: 1 });
    expect(JSON.stringify(await log.events({ type: 'user.tampered' }))).toContain(login.rpId);
    const answer = new Authenticator().create(publicKey, login.origin);
    expect(await login.answerRegistration(challengeId, answer)).toMatchObject(SPENT);
    expect((await readStatus()).map(({ status }) => status)).toEqual(['revoked']);
  });
});
