import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, type Page, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const STATE = makeProblem(409, 'credential-state');
const UNKNOWN = makeProblem(404, 'credential-unknown');
const NOWHERE = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';

let service: TestService;
let login: Ceremonies<string>;
let credential: Credential;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());
beforeEach(async () => {
  credential = await login.registered(newUser(), new Authenticator());
});

type Verb = 'suspend' | 'reinstate' | 'revoke';

const act = (verb: Verb, id = credential.id, reason = `to ${verb}`) =>
  service.client.call<Credential>('auth-service', 'POST', `/v1/credentials/${id}/${verb}`, { reason });

const rename = (name: string, id = credential.id) =>
  service.client.call<Credential>('auth-service', 'PATCH', `/v1/credentials/${id}`, { name });

const list = async (query: Record<string, string | number>): Promise<Page<Credential>> => {
  const parameters = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  const path = `/v1/credentials?${parameters.toString()}`;
  return requireStatus(await service.client.call<Page<Credential>>('auth-service', 'GET', path), 200);
};

describe('the state of a credential', () => {
  const TRANSITIONS: [string, Verb[], Verb, Credential['status'] | 'conflict'][] = [
    ['active', [], 'suspend', 'suspended'],
    ['active', [], 'reinstate', 'conflict'],
    ['active', [], 'revoke', 'revoked'],
    ['suspended', ['suspend'], 'suspend', 'conflict'],
    ['suspended', ['suspend'], 'reinstate', 'active'],
    ['suspended', ['suspend'], 'revoke', 'revoked'],
    ['revoked', ['revoke'], 'suspend', 'conflict'],
    ['revoked', ['revoke'], 'reinstate', 'conflict'],
    ['revoked', ['revoke'], 'revoke', 'conflict'],
  ];

  it.each(TRANSITIONS)('is %s after the changes %j: a request to %s gives %s', async (_, before, verb, expected) => {
    for (const earlier of before) requireStatus(await act(earlier), 200);
    const was = await service.readCredential<Credential>(credential.id);
    const answer = await act(verb);
    if (expected === 'conflict') {
      expect(answer).toMatchObject(STATE);
      expect(await service.readCredential(credential.id)).toEqual(was);
      return;
    }
    expect(answer).toMatchObject({ status: 200, body: { status: expected, statusReason: `to ${verb}` } });
    expect(Date.parse(answer.body.statusChangedAt)).toBeGreaterThanOrEqual(Date.parse(was.statusChangedAt));
    expect(await service.readCredential(credential.id)).toEqual(answer.body);
  });

  it('changes once when the same change comes 10 times at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => act('suspend')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(409)]);
  });

  it('ends as revoked when other changes come at the same time', async () => {
    await Promise.all([act('suspend'), act('revoke'), act('suspend'), act('reinstate')]);
    const { status } = await service.readCredential<Credential>(credential.id);
    expect(status).toBe('revoked');
  });
});

describe('PATCH /v1/credentials/{id}', () => {
  it('renames a credential and changes nothing else', async () => {
    expect(await rename('Blue key')).toMatchObject({ status: 200, body: { ...credential, name: 'Blue key' } });
    expect(await service.readCredential(credential.id)).toEqual({ ...credential, name: 'Blue key' });
  });

  it('is idempotent', async () => {
    await rename('Blue key');
    expect(await rename('Blue key')).toMatchObject({ status: 200, body: { name: 'Blue key' } });
  });

  it('keeps every character of a name', async () => {
    const name = 'Ключ 🔑 “häuslich” \\ "';
    expect(await rename(name)).toMatchObject({ body: { name } });
  });

  it('renames a suspended credential', async () => {
    await act('suspend');
    expect(await rename('Lost phone')).toMatchObject({
      status: 200,
      body: { name: 'Lost phone', status: 'suspended' },
    });
  });
});

describe('a credential that does not exist', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['GET', () => service.client.call('auth-service', 'GET', `/v1/credentials/${NOWHERE}`)],
    ['PATCH', () => rename('name', NOWHERE)],
    ['suspend', () => act('suspend', NOWHERE)],
    ['reinstate', () => act('reinstate', NOWHERE)],
    ['revoke', () => act('revoke', NOWHERE)],
  ])('answers 404 to %s', async (_, call) => {
    expect(await call()).toMatchObject(UNKNOWN);
  });
});

describe('GET /v1/credentials', () => {
  let rp: Ceremonies<string>;
  let all: Credential[];
  const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';

  beforeAll(async () => {
    rp = await service.relyingParty('list.example.com');
    all = [];
    for (let count = 0; count < 7; count += 1) {
      const authenticator = new Authenticator(count % 2 === 0 ? { aaguid: AAGUID } : {});
      all.push(await rp.registered(count < 4 ? 'ada' : 'grace', authenticator));
    }
    await act('suspend', all[1]?.id);
    await act('revoke', all[5]?.id);
  });

  const at = (...indices: number[]): string[] => indices.map((index) => all[index]?.id ?? '').sort();

  it.each<[string, Record<string, string>, number[]]>([
    ['no other filter', {}, [0, 1, 2, 3, 4, 5, 6]],
    ['a user', { userId: 'ada' }, [0, 1, 2, 3]],
    ['a user without passkeys', { userId: 'nobody' }, []],
    ['active', { status: 'active' }, [0, 2, 3, 4, 6]],
    ['suspended', { status: 'suspended' }, [1]],
    ['revoked', { status: 'revoked' }, [5]],
    ['a model', { aaguid: AAGUID }, [0, 2, 4, 6]],
    ['all of it', { userId: 'ada', status: 'active', aaguid: AAGUID }, [0, 2]],
  ])('filters by relying party and %s', async (_, query, indices) => {
    const { data } = await list({ rpId: 'list.example.com', ...query });
    expect(data.map(({ id }) => id).sort()).toEqual(at(...indices));
  });

  it('finds a user across relying parties', async () => {
    const { data } = await list({ userId: credential.userId });
    expect(data).toEqual([credential]);
  });

  it.each([1, 2, 3, 6, 7, 8])('pages by %d: each credential once, in one order', async (limit) => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await list({ rpId: 'list.example.com', limit, ...(cursor === null ? {} : { cursor }) });
      expect(page.data.length).toBeLessThanOrEqual(limit);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null && seen.length < 20);
    expect(seen).toEqual((await list({ rpId: 'list.example.com' })).data.map(({ id }) => id));
    expect([...seen].sort()).toEqual(at(0, 1, 2, 3, 4, 5, 6));
  });

  it('keeps its place while others register', async () => {
    const first = await list({ rpId: 'list.example.com', limit: 3, userId: 'ada' });
    await rp.registered('late', new Authenticator());
    const rest = await list({ rpId: 'list.example.com', limit: 3, userId: 'ada', cursor: first.nextCursor ?? '' });
    expect([...first.data, ...rest.data].map(({ id }) => id).sort()).toEqual(at(0, 1, 2, 3));
  });
});

describe('GET /v1/users/{userId}/signals', () => {
  const signals = (userId: string, rpId = login.rpId) =>
    service.client.call<{ allAcceptedCredentials: { userId: string; allAcceptedCredentialIds: string[] } }>(
      'auth-service',
      'GET',
      `/v1/users/${encodeURIComponent(userId)}/signals?rpId=${rpId}`,
    );

  it('lists the passkeys that the browser keeps: all that are not revoked', async () => {
    const user = newUser();
    const authenticator = new Authenticator();
    const credentials = [];
    for (let count = 0; count < 3; count += 1) credentials.push(await login.registered(user, authenticator));
    await act('suspend', credentials[1]?.id);
    await act('revoke', credentials[2]?.id);
    const { allAcceptedCredentials } = requireStatus(await signals(user), 200);
    expect(allAcceptedCredentials).toMatchObject({
      rpId: login.rpId,
      userId: authenticator.passkeys[0]?.userHandle.toString('base64url'),
    });
    expect([...allAcceptedCredentials.allAcceptedCredentialIds].sort()).toEqual(
      [credentials[0]?.credentialId, credentials[1]?.credentialId].sort(),
    );
  });

  it('accepts a user id with every kind of character', async () => {
    const user = 'a/b c?d#e%f&é🔑';
    const { credentialId } = await login.registered(user, new Authenticator());
    expect(await signals(user)).toMatchObject({
      status: 200,
      body: { allAcceptedCredentials: { allAcceptedCredentialIds: [credentialId] } },
    });
  });

  it('refuses a relying party that the service does not have', async () => {
    expect(await signals('ada', 'nowhere.example.com')).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});

describe('DELETE /v1/users/{userId}', () => {
  const erase = (userId: string, rpId = login.rpId) =>
    service.client.call('operator', 'DELETE', `/v1/users/${encodeURIComponent(userId)}?rpId=${rpId}`);

  it('leaves nothing of the user at that relying party', async () => {
    const user = newUser();
    const authenticator = new Authenticator();
    const { id } = await login.registered(user, authenticator);
    const handle = authenticator.passkeys[0]?.userHandle.toString('base64url');

    expect(await erase(user)).toMatchObject({ status: 204, body: undefined });

    expect(await service.client.call('auth-service', 'GET', `/v1/credentials/${id}`)).toMatchObject(UNKNOWN);
    expect((await list({ rpId: login.rpId, userId: user })).data).toEqual([]);
    const { publicKey } = requireStatus(await login.requestRegistration(user), 201);
    expect(publicKey.excludeCredentials).toEqual([]);
    expect(publicKey.user.id).not.toBe(handle);
    expect(await login.authenticate(authenticator)).toMatchObject({
      status: 422,
      body: { reason: 'credential-unknown' },
    });
  });

  it('leaves the user at other relying parties, and other users, alone', async () => {
    const other = await service.relyingParty('shop.example.org');
    const user = newUser();
    await login.registered(user, new Authenticator());
    const elsewhere = await other.registered(user, new Authenticator());
    await erase(user);
    expect(await service.readCredential(elsewhere.id)).toEqual(elsewhere);
    expect(await service.readCredential(credential.id)).toEqual(credential);
  });

  it('spends the open challenges of the user', async () => {
    const user = newUser();
    const authenticator = new Authenticator();
    const { challengeId, publicKey } = requireStatus(await login.requestRegistration(user), 201);
    const response = authenticator.create(publicKey, login.origin);
    await erase(user);
    expect(await login.answerRegistration(challengeId, response)).toMatchObject(makeProblem(409, 'challenge-spent'));
  });

  it('is idempotent, also for a user who never existed', async () => {
    expect(await erase('nobody')).toMatchObject({ status: 204 });
    expect(await erase('nobody')).toMatchObject({ status: 204 });
  });

  it('refuses a relying party that the service does not have', async () => {
    expect(await erase('ada', 'nowhere.example.com')).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});
