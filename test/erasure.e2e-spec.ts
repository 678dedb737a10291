import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { ChallengeSeal } from '../src/challenges/challenge-seal.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Page } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { makeAuthorizedContext } from './support/callers.js';
import { TestService, toSpiffeId } from './support/service.js';

const ID = 'ada+lovelace/"$&"@Example.com é🔑';
/** It is in no base64url text by chance. */
const SHORT = 'u.7';

let service: TestService;
let login: Ceremonies<string>;
let shop: Ceremonies<string>;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
  shop = await service.relyingParty('shop.example.org');
});
afterAll(() => service.stop());

/** Spells a text as it is, in a path or query, in a form, in JSON, and in JSON that escapes every character. */
const listSpellings = (id: string): string[] => [
  id,
  encodeURIComponent(id),
  encodeURIComponent(id).toLowerCase(),
  new URLSearchParams({ id }).toString().slice('id='.length),
  JSON.stringify(id).slice(1, -1),
  escaped(id),
  Buffer.from(id).toString('hex'),
  Buffer.from(id).toString('base64').replaceAll('=', ''),
  Buffer.from(id).toString('base64url'),
];
const escaped = (text: string): string =>
  Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');

const found = (text: string, id: string): string[] =>
  listSpellings(id).filter((spelling) => text.toLowerCase().includes(spelling.toLowerCase()));

/** Reads every row of every table as text. */
async function readAllRows(): Promise<string> {
  const tables = await service.sql<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
      WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
  );
  expect(tables.length).toBeGreaterThan(10);
  const rows = await Promise.all(
    tables.map(({ name }) => service.sql<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)),
  );
  return rows.flatMap((table) => table.map(({ row }) => row.replaceAll('""', '"').replaceAll('\\\\', '\\'))).join('\n');
}

async function exported(): Promise<string> {
  const app = service.running.app;
  const [pending, keeper] = [
    app.get(PendingEventsRepository, { strict: false }),
    app.get(CheckpointScheduler, { strict: false }),
  ];
  while ((await pending.findOldest()) !== undefined) {
    service.clock.advance(1);
    await keeper.tick();
  }
  return requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/export'), 200);
}

const call = (identity: string, method: string, path: string, body?: unknown): Promise<Answer> =>
  service.client.call(identity, method, path, body);

/** Sends every request that a caller can make about a user, naming the user wherever possible. */
async function live(id: string, rp: Ceremonies<string>): Promise<void> {
  const authenticator = new Authenticator();
  const user = encodeURIComponent(id);
  const identityProof = (members: object): Record<string, unknown> => ({
    identityProof: {
      method: `asked ${id}`.slice(0, 64),
      verifiedAt: service.clock.now().toISOString(),
      reference: `https://idp.example/sessions?user=${user}&name=${id}`,
      ...members,
    },
  });
  // These requests come before the user exists.
  await rp.requestAuthentication({ userId: id });
  await call('auth-service', 'GET', `/v1/users/${user}/signals?rpId=${rp.rpId}`);
  await rp.requestRegistration(id, identityProof({ verifiedAt: '2020-01-01T00:00:00Z' }));
  const credential = await rp.registered(id, authenticator, {
    challenge: { ...identityProof({}), user: { id, name: id, displayName: `It is ${id}` } },
    answer: { name: id.slice(0, 64) },
  });
  // These spell JSON, path and query in other ways.
  const body = `{"rpId":"${rp.rpId}","userId":"${escaped(id)}"}`;
  const headers = { 'content-type': 'application/json' };
  await service.client.send('auth-service', 'POST', '/v1/challenges/authentication', { headers, body });
  for (const path of [`/v1/users/${user.toLowerCase()}/signals?rpId=${rp.rpId}`, `/v1/users/${user}?rpId=${user}`]) {
    await call('auth-service', 'GET', path);
  }
  await call('auth-service', 'GET', `/v1/credentials?userId=${user}&${user}=${user}`);
  await call('auth-service', 'GET', `/v1/nowhere/${user}?${user}`);
  await call('auth-service', 'GET', `/v1/users/${user}%zz/signals?rpId=${rp.rpId}`);
  await call('auth-service', 'POST', '/v1/challenges/registration', { [id]: id, rpId: id, user: id });
  await call('stranger', 'DELETE', `/v1/users/${user}?rpId=${rp.rpId}`);
  for (const query of [
    `userId=${user}`,
    `userId=${user}&type=credential.verify&rpId=${user}`,
    `actor=x&userId=${user}`,
  ]) {
    await call('auditor', 'GET', `/v1/audit/events?${query}`);
  }
  await rp.authenticated(authenticator, { challenge: { userId: id } });
  await rp.authenticate(authenticator, { challenge: { userId: id }, interference: { flags: { UP: false } } });
  await rp.authenticate(authenticator, { challenge: { userId: id }, interference: { clientData: { origin: id } } });
  const manage = (verb: string, members: object, method = 'POST'): Promise<unknown> =>
    call('auth-service', method, `/v1/credentials/${credential.id}${verb}`, members);
  await manage('', { name: `${id}'s`.slice(0, 64) }, 'PATCH');
  await manage('/suspend', { reason: `${id} asked for it: ${user}` });
  await rp.authenticate(authenticator, { challenge: {} });
  await manage('/reinstate', { reason: id });
  await manage('/revoke', { reason: id });
  await call('auth-service', 'POST', `/v1/users/${user}/revoke?rpId=${rp.rpId}`, { reason: `${id}: ${user}` });
  await rp.authenticate(authenticator, { challenge: {} });
  await rp.registered(id, new Authenticator());
}

describe.each([ID, SHORT])('after the erasure of %j', (id) => {
  const erase = (rp: Ceremonies<string>): Promise<Answer> =>
    call('operator', 'DELETE', `/v1/users/${encodeURIComponent(id)}?rpId=${rp.rpId}`);

  it('no table and no export holds the id, in any spelling in which it was sent', async () => {
    await live(id, login);
    await live(id, shop);
    expect(found(await readAllRows(), id)).toContain(id);
    for (const rp of [login, shop]) expect(await erase(rp)).toMatchObject({ status: 204 });
    // These repeat the requests for a user who is now unknown.
    expect(await erase(login)).toMatchObject({ status: 204 });
    const [rows, log] = [await readAllRows(), await exported()];
    expect(log).toContain('"event_code":"user.erase"');
    expect([found(rows, id), found(log, id)]).toEqual([[], []]);
  });

  it('no event that is read shows the id, and nobody can tell whose events the user’s were', async () => {
    const user = encodeURIComponent(id);
    const events = (query: string): Promise<Answer<Page<object>>> =>
      service.client.call('auditor', 'GET', `/v1/audit/events?limit=200${query}`);
    for (const query of ['', `&userId=${user}`]) {
      const page = requireStatus(await events(query), 200);
      expect(found(JSON.stringify(page.data), id)).toEqual([]);
    }
    expect(requireStatus(await events(`&userId=${user}&type=credential.verify`), 200).data).toEqual([]);
  });
});

describe('a registration that is under way when its user is erased', () => {
  it('ends with its first answer, and nothing is registered', async () => {
    const { challengeId, publicKey } = requireStatus(await login.requestRegistration('margaret'), 201);
    const remove = await service.client.call('operator', 'DELETE', `/v1/users/margaret?rpId=${login.rpId}`);
    expect(remove.status).toBe(204);
    const answers = [
      new Authenticator().create(publicKey, login.origin),
      new Authenticator().create(publicKey, 'https://evil.example'),
      new Authenticator().create(publicKey, login.origin),
    ];
    for (const answer of answers) {
      expect(await login.answerRegistration(challengeId, answer)).toMatchObject({
        status: 409,
        body: { type: 'urn:passkey-manager:problem:challenge-spent' },
      });
    }
    expect(await service.sql("SELECT FROM credential WHERE user_id = 'margaret'")).toEqual([]);
  });
});

describe('the pseudonym of a user in the log', () => {
  it('is looked up for a challenge of the version before, which does not carry it', async () => {
    const { challengeId, publicKey } = requireStatus(await login.requestRegistration('lise'), 201);
    const seal = service.running.app.get(ChallengeSeal, { strict: false });
    const spiffeId = toSpiffeId('auth-service');
    const { registration, ...challenge } = seal.open(makeAuthorizedContext({ spiffeId }), challengeId);
    const former = seal.seal({ ...challenge, registration: { ...registration!, uid: undefined } }, spiffeId);
    requireStatus(await login.answerRegistration(former, new Authenticator().create(publicKey, login.origin)), 201);
    const [event] = await service.sql(
      `SELECT e.user_id = h.audit_uid::text AS same FROM user_handle h JOIN audit_event e ON e.rp_id = h.rp_id
        WHERE h.user_id = 'lise' AND type = 'credential.register' ORDER BY e.id DESC LIMIT 1`,
    );
    expect(event).toEqual({ same: true });
  });

  it.each(['mary', 'nobody-yet'])('is that of the challenge’s user when the answer is another’s: %s', async (asked) => {
    const grace = new Authenticator();
    await login.register('grace-h', grace);
    await login.register('mary', new Authenticator());
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication({ userId: asked }), 201);
    const answer = grace.get({ ...publicKey, allowCredentials: [] }, login.origin);
    expect((await login.answerAuthentication(challengeId, answer)).status).toBe(422);
    const [refused] = await service.sql<{ uid: string; event: string }>(
      `SELECT user_id AS uid, event FROM audit_event WHERE type = 'credential.verify' AND outcome = 'failure' ORDER BY id DESC LIMIT 1`,
    );
    const users = await service.sql<{ uid: string }>(
      `SELECT audit_uid AS uid FROM user_handle WHERE user_id = $1 AND rp_id = $2`,
      [asked, login.rpId],
    );
    expect(refused!.uid).toEqual(users[0]?.uid ?? expect.stringMatching(/^~/));
    expect(refused!.event).toContain(`"uid":"${refused!.uid}"`);
  });

  it('differs at another relying party, also before the user exists and in another month', async () => {
    const names = async (): Promise<string[]> => {
      const rows = await service.sql<{ uid: string }>(
        `SELECT DISTINCT user_id AS uid FROM audit_event WHERE event LIKE '%"purpose":"to:be:found"%'`,
      );
      return rows.map(({ uid }) => uid);
    };
    const begin = async (): Promise<void> => {
      for (const rp of [login, shop]) {
        for (let count = 0; count < 2; count += 1) {
          requireStatus(
            await rp.requestRegistration('grace', { purpose: 'to:be:found', identityProof: undefined }),
            422,
          );
        }
      }
    };
    await begin();
    expect(await names()).toHaveLength(2);
    service.clock.advance(31 * 86_400);
    await begin();
    expect(await names()).toHaveLength(4);
    const page = await service.client.call<Page<object>>('auditor', 'GET', '/v1/audit/events?userId=grace');
    expect(requireStatus(page, 200).data).toHaveLength(8);
    service.clock.reset();
  });
});
