import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem, type Verification } from './support/bodies.js';
import { Ceremonies, requireStatus } from './support/ceremonies.js';
import { PaymentCeremonies } from './support/payment-ceremonies.js';
import { TestService, toSpiffeId } from './support/service.js';

/** A caller that may not act for the successors of these tests. */
const LIMITED = 'limited';
const OLD = 'old.example.com';
const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:confirm, payments:confirm, passkeys:read, passkeys:manage]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:erase]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read]
  - id: ${toSpiffeId(LIMITED)}
    permissions: [passkeys:register, passkeys:authenticate, relying-parties:read, relying-parties:write]
    relyingParties: [${OLD}]
`;

type Migration = { successor: string; endsAt: string | null; hasPasskey: boolean | null };
type Verified = Verification & { migration?: Migration };
type Party = { successor: object | null; version: number; warnings: { pointer: string; detail: string }[] };

let service: TestService;
let count = 0;
const newName = (): string => `rp-${String((count += 1))}.example.com`;
const newUser = (): string => `user-${String((count += 1))}`;
const toOrigin = (rpId: string): string => `https://${rpId}`;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: POLICY, identities: [LIMITED] });
});
afterEach(() => {
  service.clock.reset();
});
afterAll(() => service.stop());

const put = (rpId: string, settings: object = {}, { as = 'operator', query = '' } = {}) =>
  service.client.call<Party>(as, 'PUT', `/v1/relying-parties/${rpId}${query}`, {
    name: rpId,
    origins: [toOrigin(rpId)],
    ...settings,
  });
const get = (rpId: string, as = 'operator') => service.client.call<Party>(as, 'GET', `/v1/relying-parties/${rpId}`);
const listPointers = ({ body }: { body: Party }): string[] => body.warnings.map(({ pointer }) => pointer);
const inSeconds = (seconds: number): string => new Date(service.clock.now().getTime() + seconds * 1_000).toISOString();

/** Creates a relying party with a successor. Its users sign in on pages of both. */
async function makeSuccession(successor: object = {}, oldId = newName(), newId = newName()) {
  requireStatus(await put(newId), 201);
  const origins = [toOrigin(oldId), toOrigin(newId)];
  const answer = await put(oldId, { origins, successor: { rpId: newId, ...successor } });
  expect([200, 201]).toContain(answer.status);
  return { old: service.ceremonies(oldId), next: service.ceremonies(newId), origins };
}

const signIn = async (ceremonies: Ceremonies<string>, authenticator: Authenticator, userId?: string) =>
  (await ceremonies.authenticated(authenticator, { challenge: { userId } })) as Verified;

describe('PUT /v1/relying-parties/{rpId} with a successor', () => {
  it('stores it, answers it, and takes its own answer back', async () => {
    const [rpId, next] = [newName(), newName()];
    requireStatus(await put(next), 201);
    const origins = [toOrigin(rpId), toOrigin(next)];
    const made = await put(rpId, { origins, successor: { rpId: next, endsAt: '2027-06-30T14:00:00+02:00' } });
    const successor = { rpId: next, endsAt: '2027-06-30T12:00:00.000Z', registrations: 'accept' };
    expect(made).toMatchObject({ status: 201, body: { successor } });
    expect((await get(rpId)).body).toEqual(made.body);
    expect(await put(rpId, made.body)).toMatchObject({ status: 200, body: { version: 1 } });
    expect(await get(next)).toMatchObject({ body: { successor: null } });
  });

  it.each([{}, { successor: null }])(
    'takes it away if the body is %j, and says so, because the body replaces all settings',
    async (settings) => {
      const { old, origins } = await makeSuccession();
      const dryRun = await put(old.rpId, { origins, ...settings }, { query: '?dryRun=true' });
      expect(listPointers(dryRun)).toEqual(['/successor']);
      const answer = await put(old.rpId, { origins, ...settings });
      expect(answer).toMatchObject({ status: 200, body: { successor: null, version: 2 } });
      expect(listPointers(answer)).toEqual(['/successor']);
      expect(listPointers(await get(old.rpId))).toEqual([]);
    },
  );

  it.each<[string, unknown, string]>([
    ['text', 'b.example', '/successor'],
    ['a list', [], '/successor'],
    ['no RP ID', {}, '/successor/rpId'],
    ['an RP ID that is none', { rpId: 'B.example' }, '/successor/rpId'],
    ['an end that is no time', { rpId: 'b.example', endsAt: 'soon' }, '/successor/endsAt'],
    ['an end that no calendar has', { rpId: 'b.example', endsAt: '2027-02-30T00:00:00Z' }, '/successor/endsAt'],
    [
      'a rule for registrations that does not exist',
      { rpId: 'b.example', registrations: 'no' },
      '/successor/registrations',
    ],
    ['a member that does not exist', { rpId: 'b.example', until: null }, '/successor/until'],
  ])('refuses %s', async (_, successor, pointer) => {
    const answer = await put(newName(), { successor });
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed', { invalid: [{ pointer }] }));
  });

  it('refuses itself, a chain and a circle, also in a dry run', async () => {
    const { old, next } = await makeSuccession();
    const other = newName();
    const refused = makeProblem(400, 'request-malformed', { invalid: [{ pointer: '/successor/rpId' }] });
    for (const query of ['', '?dryRun=true']) {
      expect(await put(other, { successor: { rpId: other } }, { query })).toMatchObject(refused);
      expect(await put(other, { successor: { rpId: old.rpId } }, { query })).toMatchObject(refused);
      expect(await put(next.rpId, { successor: { rpId: other } }, { query })).toMatchObject(refused);
      expect(await put(next.rpId, { successor: { rpId: old.rpId } }, { query })).toMatchObject(refused);
    }
    expect((await get(other)).status).toBe(404);
    expect(await get(next.rpId)).toMatchObject({ body: { successor: null, version: 1 } });
  });

  it('lets one relying party succeed several', async () => {
    const { next } = await makeSuccession();
    expect((await put(newName(), { successor: { rpId: next.rpId } })).status).toBe(201);
  });

  it('makes no circle and no chain of changes at the same time, and nothing hangs', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [a, b, c] = [newName(), newName(), newName()] as const;
      const pairs = [
        [a, b],
        [b, c],
        [c, a],
        [b, a],
        [c, b],
        [a, c],
      ] as const;
      const answers = await Promise.all(pairs.map(([rpId, next]) => put(rpId, { successor: { rpId: next } })));
      expect(answers.filter(({ status }) => ![200, 201, 400].includes(status))).toEqual([]);
      const stored = await Promise.all(
        [a, b, c].map(async (rpId) => [rpId, (await get(rpId)).body.successor] as const),
      );
      const named = stored.flatMap(([rpId, successor]) =>
        successor ? [[rpId, (successor as Migration & { rpId: string }).rpId] as const] : [],
      );
      expect(named.filter(([, next]) => named.some(([rpId]) => rpId === next))).toEqual([]);
    }
  });

  it('warns of what keeps users from moving', async () => {
    const [rpId, next] = [newName(), newName()];
    const successor = { rpId: next };
    const name = (settings: object = {}) => put(rpId, { successor, ...settings });
    expect(listPointers(await name())).toEqual(['/successor/rpId']);
    requireStatus(await put(next, { enabled: false }), 201);
    expect(listPointers(await name({ name: 'Off' }))).toEqual(['/successor/rpId', '/origins']);
    requireStatus(await put(next), 200);
    expect(listPointers(await get(rpId))).toEqual(['/origins']);
    const origins = [toOrigin(rpId), toOrigin(next)];
    expect(listPointers(await name({ origins }))).toEqual([]);
    const endsAt = inSeconds(60);
    expect(listPointers(await name({ origins, successor: { ...successor, endsAt } }))).toEqual([
      '/successor/registrations',
    ]);
    const refuse = { ...successor, endsAt, registrations: 'refuse' };
    expect(listPointers(await name({ origins, successor: refuse }))).toEqual([]);
    service.clock.advance(61);
    expect(listPointers(await get(rpId))).toEqual(['/successor/endsAt']);
    const many = ['b.example', 'c.example', 'd.example', 'e.example', 'f.example'].map(toOrigin);
    expect(listPointers(await name({ origins: [...origins, ...many, 'https://g.example'] }))).toEqual(['/origins']);
  });

  it('needs a caller that may act for the successor, and tells others nothing of it', async () => {
    const next = newName();
    const settings = { origins: [toOrigin(OLD)], successor: { rpId: next } };
    expect(await put(OLD, settings, { as: LIMITED })).toMatchObject(makeProblem(403, 'relying-party-denied'));
    requireStatus(await put(OLD, settings), 201);
    expect(listPointers(await get(OLD))).toEqual(['/successor/rpId']);
    expect(listPointers(await get(OLD, LIMITED))).toEqual([]);
  });

  it('is in the audit log', async () => {
    const { old, origins, next } = await makeSuccession();
    const successor = { rpId: next.rpId, endsAt: inSeconds(3_600), registrations: 'refuse' };
    requireStatus(await put(old.rpId, { origins, successor }), 200);
    const events = await new AuditLog(service.client).events({ type: 'relying-party.update' });
    expect(events).toContainEqual(
      expect.objectContaining({ unmapped: expect.objectContaining({ rp_id: old.rpId, version: 2, successor }) }),
    );
  });
});

describe('a sign-in at a relying party with a successor', () => {
  let old: Ceremonies<string>;
  let next: Ceremonies<string>;
  beforeEach(async () => {
    ({ old, next } = await makeSuccession());
  });

  it('tells if the user has a passkey at the successor, and goes on telling what is true', async () => {
    const user = newUser();
    const [phone, newPhone] = [new Authenticator(), new Authenticator()];
    await old.registered(user, phone);
    const migration = { successor: next.rpId, endsAt: null, hasPasskey: false };
    expect((await signIn(old, phone)).migration).toEqual(migration);
    await next.registered(newUser(), new Authenticator());
    expect((await signIn(old, phone, user)).migration).toEqual(migration);
    const { id } = await next.registered(user, newPhone);
    expect((await signIn(old, phone)).migration).toEqual({ ...migration, hasPasskey: true });
    await service.client.call('auth-service', 'POST', `/v1/credentials/${id}/suspend`, { reason: 'lost' });
    expect((await signIn(old, phone)).migration).toEqual(migration);
  });

  it('works on pages of the successor, by related origins', async () => {
    const phone = new Authenticator();
    await old.registered(newUser(), phone);
    const answer = await old.authenticate(phone, { origin: next.origin });
    expect(answer).toMatchObject({ status: 200, body: { rpId: old.rpId, migration: { hasPasskey: false } } });
  });

  it('tells nothing at the successor and nothing without one', async () => {
    const phone = new Authenticator();
    await next.registered(newUser(), phone);
    expect(await signIn(next, phone)).not.toHaveProperty('migration');
  });

  it('tells it of a confirmation and a payment, too', async () => {
    const user = newUser();
    const phone = new Authenticator();
    await old.registered(user, phone, { challenge: { payment: true } });
    const migration = { successor: next.rpId, endsAt: null, hasPasskey: false };
    const transaction = { amount: '1.00' };
    const call = <Body>(path: string, body: object) => service.client.call<Body>('auth-service', 'POST', path, body);
    type Issued = Parameters<Authenticator['get']>[0];
    const challenge = requireStatus(
      await call<{ challengeId: string; publicKey: Issued }>('/v1/challenges/confirmation', {
        rpId: old.rpId,
        userId: user,
        transaction,
      }),
      201,
    );
    const response = phone.get(challenge.publicKey, old.origin);
    const confirmed = await call('/v1/confirmations', { challengeId: challenge.challengeId, response, transaction });
    expect(confirmed).toMatchObject({ status: 200, body: { migration } });
    const payments = new PaymentCeremonies(service.client, 'auth-service', old.rpId, user);
    expect(await payments.pay(phone)).toMatchObject({ status: 200, body: { migration } });
  });

  it('tells a caller that may not act for the successor only its name', async () => {
    await makeSuccession({}, OLD);
    const limited = service.ceremonies(OLD, LIMITED);
    const phone = new Authenticator();
    await limited.registered(newUser(), phone);
    expect((await signIn(limited, phone)).migration).toMatchObject({ hasPasskey: null });
  });

  it('does not count a passkey whose row something else made or changed, and the log says so', async () => {
    const user = newUser();
    const phone = new Authenticator();
    await old.registered(user, phone);
    const { id } = await next.registered(user, new Authenticator());
    await service.sql(`UPDATE credential SET public_key = '\\x00' WHERE id = $1`, [id]);
    expect((await signIn(old, phone)).migration).toMatchObject({ hasPasskey: false });
    const events = await new AuditLog(service.client).events({ type: 'credential.tampered' });
    expect(events.length).toBeGreaterThan(0);
  });

  it('tells nothing where nobody can register at the successor now, so that nobody is offered a passkey there', async () => {
    const phone = new Authenticator();
    await old.registered(newUser(), phone);
    requireStatus(await put(next.rpId, { enabled: false }), 200);
    expect((await signIn(old, phone)).migration).toMatchObject({ hasPasskey: null });
  });

  it('succeeds while the user is erased at the successor, and then the passkey counts no more', async () => {
    const user = newUser();
    const phone = new Authenticator();
    await old.registered(user, phone);
    await next.registered(user, new Authenticator());
    const erase = () => service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${next.rpId}`);
    const [erased, verified] = await Promise.all([erase(), signIn(old, phone)]);
    expect([erased.status, typeof verified.migration?.hasPasskey]).toEqual([204, 'boolean']);
    expect((await signIn(old, phone)).migration).toMatchObject({ hasPasskey: false });
  });
});

describe('a relying party whose successor takes the registrations', () => {
  it('registers nothing, not even by a challenge from before, and signs in as before', async () => {
    const { old, origins, next } = await makeSuccession();
    const [user, phone] = [newUser(), new Authenticator()];
    await old.registered(user, phone);
    const open = requireStatus(await old.requestRegistration(user), 201);
    requireStatus(await put(old.rpId, { origins, successor: { rpId: next.rpId, registrations: 'refuse' } }), 200);
    const refused = makeProblem(422, 'policy-rejected', { reason: 'registration-at-successor' });
    expect(await old.requestRegistration(user)).toMatchObject(refused);
    const response = new Authenticator().create(open.publicKey, old.origin);
    expect(await old.answerRegistration(open.challengeId, response)).toMatchObject(refused);
    await signIn(old, phone);
    requireStatus(await put(old.rpId, { origins, successor: { rpId: next.rpId } }), 200);
    expect((await old.requestRegistration(user)).status).toBe(201);
  });
});

describe('the end of a relying party', () => {
  it('refuses every ceremony from its second on, also answers to challenges from before, and none a second earlier', async () => {
    service.clock.freeze();
    const { old } = await makeSuccession({ endsAt: inSeconds(60) });
    const [user, phone] = [newUser(), new Authenticator()];
    await old.registered(user, phone);
    service.clock.advance(59);
    await signIn(old, phone);
    await signIn(old, phone, user);
    const asked = await Promise.all([
      old.requestAuthentication(),
      old.requestAuthentication({ userId: user }),
      old.requestRegistration(user),
    ]);
    expect(asked.map(({ status }) => status)).toEqual([201, 201, 201]);
    service.clock.advance(1);
    const [any, named, registration] = asked;
    const detail = expect.stringContaining(' has ended at ');
    const refused = makeProblem(403, 'relying-party-denied', { detail });
    for (const { body } of [any, named])
      expect(await old.answerAuthentication(body.challengeId, phone.get(body.publicKey, old.origin))).toMatchObject(
        refused,
      );
    const response = new Authenticator().create(registration.body.publicKey, old.origin);
    expect(await old.answerRegistration(registration.body.challengeId, response)).toMatchObject(refused);
    expect(await old.requestAuthentication()).toMatchObject(refused);
    expect(await old.requestAuthentication({ userId: user })).toMatchObject(refused);
    expect(await old.requestRegistration(user)).toMatchObject(refused);
    const confirmation = { rpId: old.rpId, userId: user, transaction: {} };
    expect(
      await service.client.call('auth-service', 'POST', '/v1/challenges/confirmation', confirmation),
    ).toMatchObject(refused);
    const [event] = await new AuditLog(service.client).events({ type: 'credential.register', outcome: 'failure' });
    expect(event).toMatchObject({ status_code: 'relying-party-denied', unmapped: { rp_id: old.rpId } });
  });

  it('holds at every replica without a restart, and so does one that is moved', async () => {
    const replica = await service.startReplica();
    try {
      service.clock.freeze();
      const { old, origins, next } = await makeSuccession({ endsAt: inSeconds(60) });
      const there = new Ceremonies(replica.client, service.clock, 'auth-service', old.rpId);
      const phone = new Authenticator();
      await old.registered(newUser(), phone);
      await signIn(there, phone);
      service.clock.advance(61);
      expect(await there.requestAuthentication()).toMatchObject(makeProblem(403, 'relying-party-denied'));
      requireStatus(await put(old.rpId, { origins, successor: { rpId: next.rpId, endsAt: inSeconds(60) } }), 200);
      await signIn(there, phone);
      service.clock.advance(61);
      expect(await there.authenticate(phone).catch((error: unknown) => error)).toBeInstanceOf(Error);
    } finally {
      await replica.stop();
    }
  });

  it('shows in a dry run whom it shuts out', async () => {
    const { old, origins, next } = await makeSuccession();
    await old.registered(newUser(), new Authenticator());
    const ends = (seconds: number) =>
      put(old.rpId, { origins, successor: { rpId: next.rpId, endsAt: inSeconds(seconds) } }, { query: '?dryRun=true' });
    expect(await ends(60)).toMatchObject({ status: 200, body: { wouldRefuse: [] } });
    expect(await ends(-1)).toMatchObject({
      status: 200,
      body: { wouldRefuse: [{ credentials: 1, reason: 'relying-party-denied' }] },
    });
    expect(await get(old.rpId)).toMatchObject({ body: { version: 1 } });
  });
});
