import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { AuditLog } from './support/audit-log.js';
import { type AuthenticationChallenge, type Credential, type Page, makeProblem } from './support/bodies.js';
import { generateKey } from './support/authenticator/keys.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { PAYMENT, PaymentCeremonies, showPayment } from './support/payment-ceremonies.js';
import { toSpiffeId, TestService } from './support/service.js';

/** A caller with every permission, for one relying party. */
const LIMITED = 'limited';
const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:confirm, payments:confirm, passkeys:read]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:read]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read, audit:export, statistics:read]
  - id: ${toSpiffeId(LIMITED)}
    permissions:
      [passkeys:register, passkeys:authenticate, passkeys:confirm, payments:confirm, passkeys:read,
       passkeys:manage, passkeys:erase, passkeys:export, passkeys:import, relying-parties:read, relying-parties:write, audit:read, audit:export, statistics:read, approvals:decide]
    relyingParties: [mine.example.com]
approvals:
  permissions: [relying-parties:write]
`;

/** The parts of a request: those of another relying party, and those of none. */
interface Foreign {
  readonly rpId: string;
  readonly credential: string;
  readonly browserKey: string;
  readonly challenges: Readonly<Record<Ceremony, string>>;
  readonly event: string;
  readonly approval: string;
}
type Ceremony = 'registration' | 'authentication' | 'confirmation' | 'payment';

const NO_ID = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
const NOBODY: Foreign = {
  rpId: 'nowhere.example.com',
  credential: NO_ID,
  browserKey: 'A'.repeat(43),
  challenges: { registration: NO_ID, authentication: NO_ID, confirmation: NO_ID, payment: NO_ID },
  event: NO_ID,
  approval: NO_ID,
};
const TRANSACTION = { kind: 'transfer', amount: '250.00' };

let service: TestService;
let theirs: Foreign;
let answers: Readonly<Record<Ceremony, object>>;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: POLICY, identities: [LIMITED] });
  const passkeys = await Promise.all(
    ['mine.example.com', 'theirs.example.com'].map(async (rpId) => {
      const ceremonies = await service.relyingParty(rpId);
      const authenticator = new Authenticator();
      return { ceremonies, authenticator, credential: await ceremonies.registered('ada', authenticator) };
    }),
  );
  const { ceremonies, authenticator, credential } = passkeys[1]!;
  const registration = requireStatus(await ceremonies.requestRegistration('grace'), 201);
  const authentication = requireStatus(await ceremonies.requestAuthentication(), 201);
  const confirmation = requireStatus(
    await service.client.call<AuthenticationChallenge>(
      'auth-service',
      'POST',
      '/v1/challenges/confirmation',
      confirmationOf(ceremonies.rpId),
    ),
    201,
  );
  const payments = new PaymentCeremonies(service.client, 'auth-service', ceremonies.rpId, 'ada');
  const { browserKey } = requireStatus(await payments.pay(authenticator, generateKey('ES256')), 200);
  const payment = await payments.begin();
  answers = {
    registration: { response: new Authenticator().create(registration.publicKey, ceremonies.origin) },
    authentication: { response: authenticator.get(authentication.publicKey, ceremonies.origin) },
    confirmation: {
      response: authenticator.get(confirmation.publicKey, ceremonies.origin),
      transaction: TRANSACTION,
    },
    payment: { response: showPayment(payment, authenticator) },
  };
  const [event] = await new AuditLog(service.client).events({ credentialId: credential.id });
  const change = { name: 'Theirs', origins: [ceremonies.origin, 'https://more.example.com'] };
  const path = `/v1/relying-parties/${ceremonies.rpId}`;
  const approval = requireStatus(await service.client.call<{ id: string }>('operator', 'PUT', path, change), 202);
  theirs = {
    approval: approval.id,
    rpId: 'theirs.example.com',
    credential: credential.id,
    browserKey: browserKey!.thumbprint,
    challenges: {
      registration: registration.challengeId,
      authentication: authentication.challengeId,
      confirmation: confirmation.challengeId,
      payment: payment.challengeId,
    },
    event: event!.metadata.uid,
  };
});
afterAll(() => service.stop());

const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
  service.client.call(LIMITED, method, path, body);

const RP_DENIED = makeProblem(403, 'relying-party-denied');
const APPROVAL_UNKNOWN = makeProblem(404, 'approval-unknown');
const UNKNOWN = makeProblem(404, 'credential-unknown');
const SPENT = makeProblem(409, 'challenge-spent');
const SETTINGS = { name: 'Example', origins: ['https://x.example'] };
const because = { reason: 'because' };
const nothing = (): undefined => undefined;

type Row = [route: string, denial: object, path: (of: Foreign) => string, body: (of: Foreign) => unknown];

/** The routes that take the answer to a challenge. */
const ANSWERS: readonly (readonly [ceremony: Ceremony, path: string, status: number])[] = [
  ['registration', '/v1/credentials', 201],
  ['authentication', '/v1/credentials/verify', 200],
  ['confirmation', '/v1/confirmations', 200],
  ['payment', '/v1/payments', 200],
];

/** Every route that names something of a relying party, and its denial. */
const ROUTES: Row[] = [
  ['POST /v1/challenges/registration', RP_DENIED, () => '', ({ rpId }) => registrationOf(rpId)],
  ['POST /v1/challenges/authentication', RP_DENIED, () => '', ({ rpId }) => ({ rpId })],
  ['POST /v1/challenges/confirmation', RP_DENIED, () => '', ({ rpId }) => confirmationOf(rpId)],
  ['POST /v1/challenges/payment', RP_DENIED, () => '', ({ rpId }) => ({ rpId, userId: 'ada', payment: PAYMENT })],
  ...ANSWERS.map(([ceremony, path]): Row => [`POST ${path}`, SPENT, () => '', (of) => answerOf(of, ceremony)]),
  ['GET /v1/credentials', RP_DENIED, ({ rpId }) => `?rpId=${rpId}`, nothing],
  ['GET /v1/credentials/{id}', UNKNOWN, ({ credential }) => credential, nothing],
  ['POST /v1/credentials/import', RP_DENIED, ({ rpId }) => `?rpId=${rpId}`, () => null],
  ['PATCH /v1/credentials/{id}', UNKNOWN, ({ credential }) => credential, () => ({ name: 'Mine now' })],
  ['POST /v1/credentials/{id}/suspend', UNKNOWN, ({ credential }) => credential, () => because],
  ['POST /v1/credentials/{id}/reinstate', UNKNOWN, ({ credential }) => credential, () => because],
  ['POST /v1/credentials/{id}/revoke', UNKNOWN, ({ credential }) => credential, () => because],
  ['GET /v1/credentials/{id}/browser-keys', UNKNOWN, ({ credential }) => credential, nothing],
  ['POST /v1/credentials/{id}/browser-keys/{thumbprint}/trust', UNKNOWN, toBrowserKey, () => because],
  ['POST /v1/credentials/{id}/browser-keys/{thumbprint}/revoke', UNKNOWN, toBrowserKey, () => because],
  ['GET /v1/credentials/export', RP_DENIED, ({ rpId }) => `?rpId=${rpId}`, nothing],
  ['GET /v1/users/{userId}/signals', RP_DENIED, ({ rpId }) => `ada?rpId=${rpId}`, nothing],
  ['POST /v1/users/{userId}/revoke', RP_DENIED, ({ rpId }) => `ada?rpId=${rpId}`, () => because],
  ['DELETE /v1/users/{userId}', RP_DENIED, ({ rpId }) => `ada?rpId=${rpId}`, nothing],
  ['GET /v1/relying-parties/{rpId}', RP_DENIED, ({ rpId }) => rpId, nothing],
  ['PUT /v1/relying-parties/{rpId}', RP_DENIED, ({ rpId }) => rpId, () => SETTINGS],
  ['GET /v1/relying-parties/{rpId}/related-origins', RP_DENIED, ({ rpId }) => rpId, nothing],
  ['GET /v1/relying-parties/{rpId}/migration', RP_DENIED, ({ rpId }) => rpId, nothing],
  ['GET /v1/statistics', RP_DENIED, ({ rpId }) => `?rpId=${rpId}`, nothing],
  ['GET /v1/approvals/{id}', APPROVAL_UNKNOWN, ({ approval }) => approval, nothing],
  ['POST /v1/approvals/{id}/approve', APPROVAL_UNKNOWN, ({ approval }) => approval, () => because],
  ['POST /v1/approvals/{id}/refuse', APPROVAL_UNKNOWN, ({ approval }) => approval, () => because],
  ['GET /v1/audit/events/{id}', makeProblem(404, 'event-unknown'), ({ event }) => event, nothing],
  ['GET /v1/audit/events/{id}/proof', makeProblem(404, 'event-unknown'), ({ event }) => event, nothing],
];

/** Lists of several relying parties, which may contain only what belongs to the caller's own. */
const FILTERED_LISTS = [
  'GET /v1/credentials',
  'GET /v1/relying-parties',
  'GET /v1/approvals',
  'GET /v1/audit/events',
  'GET /v1/audit/export',
];
/** Routes whose answer belongs to no relying party. */
const WITHOUT_RELYING_PARTY = [
  'GET /openapi.json',
  'GET /v1/caller',
  'GET /v1/receipts/jwks',
  'GET /.well-known/ssf-configuration',
  'GET /v1/signals/jwks',
  // A stream is the caller's own; signal-streams.e2e-spec.ts tries streams of one relying party.
  'GET /v1/signals/streams',
  'POST /v1/signals/streams',
  'PATCH /v1/signals/streams',
  'PUT /v1/signals/streams',
  'DELETE /v1/signals/streams',
  'GET /v1/signals/status',
  'POST /v1/signals/status',
  'POST /v1/signals/subjects/add',
  'POST /v1/signals/subjects/remove',
  'POST /v1/signals/verification',
  'POST /v1/signals/poll/{id}',
  'GET /v1/audit/key',
  'GET /v1/audit/checkpoint',
  'GET /v1/audit/consistency',
];

function registrationOf(rpId: string): unknown {
  return service.ceremonies(rpId).registrationRequest('ada');
}

function confirmationOf(rpId: string): unknown {
  return { rpId, userId: 'ada', transaction: TRANSACTION };
}

function toBrowserKey({ credential, browserKey }: Foreign): string {
  return `${credential}/${browserKey}`;
}

function answerOf({ challenges }: Foreign, ceremony: Ceremony): unknown {
  return { challengeId: challenges[ceremony], ...answers[ceremony] };
}

/** Replaces each `{…}` of a route by a part of the value, or appends a value that begins with `?`. */
function targetOf(route: string, value: string): [method: string, path: string] {
  const [method = '', pattern = ''] = route.split(' ');
  const [inside = '', query] = value.split('?', 2);
  const parts = inside.split('/');
  return [method, pattern.replace(/\{[^}]+\}/g, () => parts.shift()!) + (query === undefined ? '' : `?${query}`)];
}

describe('a caller that is limited to one relying party', () => {
  it('can use that relying party', async () => {
    const ceremonies = service.ceremonies('mine.example.com', LIMITED);
    const authenticator = new Authenticator();
    expect(await ceremonies.register('grace', authenticator)).toMatchObject({ status: 201 });
    expect(await ceremonies.authenticate(authenticator)).toMatchObject({ status: 200 });
  });

  it.each(ROUTES)('learns nothing about another one by %s', async (route, denial, path, body) => {
    const before = await service.digestTables();
    const told = [theirs, NOBODY].map(async (of) => {
      const { status, body: answer } = await ask(...targetOf(route, path(of)), body(of));
      expect({ status, body: answer }).toMatchObject(denial);
      return JSON.stringify({ status, ...answer, instance: undefined }).replaceAll(of.rpId, 'the relying party');
    });
    const [existing, missing] = await Promise.all(told);
    expect(existing).toBe(missing);
    expect(await service.digestTables()).toEqual(before);
  });

  it.each(ANSWERS)('uses up no challenge of another one: %s', async (ceremony, path, status) => {
    const answer = await service.client.call('auth-service', 'POST', path, answerOf(theirs, ceremony));
    expect(answer.status).toBe(status);
  });

  it.each(['', '?userId=ada', '?status=active', '?limit=200'])('lists only its own credentials: %s', async (query) => {
    const { body } = await service.client.call<Page<Credential>>(LIMITED, 'GET', `/v1/credentials${query}`);
    expect(new Set(body.data.map(({ rpId }) => rpId))).toEqual(new Set(['mine.example.com']));
  });

  it('lists only its own relying party', async () => {
    const { body } = await service.client.call<{ data: { rpId: string }[] }>(LIMITED, 'GET', '/v1/relying-parties');
    expect(body.data.map(({ rpId }) => rpId)).toEqual(['mine.example.com']);
  });

  it('lists only the requests for approval of its own relying party', async () => {
    expect(await ask('GET', '/v1/approvals')).toMatchObject({ status: 200, body: { data: [], nextCursor: null } });
  });

  it.each(['?limit=200', '?userId=ada&limit=200', '?type=credential.register', '?outcome=success&limit=200'])(
    'lists only the events of its own relying party: %s',
    async (query) => {
      const path = `/v1/audit/events${query}`;
      const { body } = await service.client.call<Page<{ unmapped?: { rp_id?: string } }>>(LIMITED, 'GET', path);
      expect(new Set(body.data.map(({ unmapped }) => unmapped?.rp_id))).toEqual(new Set(['mine.example.com']));
    },
  );

  it('exports only its own events, in a log that still proves itself whole', async () => {
    const { body: log } = await service.client.call<string>(LIMITED, 'GET', '/v1/audit/export');
    const { body: keys } = await service.client.call<string>('auditor', 'GET', '/v1/audit/key');
    const proved = await verifyExport(Readable.from([Buffer.from(log)]), parseVerifierKeys(keys));
    expect([proved.from, proved.events > 0, proved.erased > 0]).toEqual([0, true, true]);
    expect([log.includes('mine.example.com'), log.includes('theirs.example.com')]).toEqual([true, false]);
  });

  it('finds no event by a credential of another one', async () => {
    const { body } = await ask('GET', `/v1/audit/events?credentialId=${theirs.credential}`);
    expect(body['data']).toEqual([]);
  });

  it('is tested on every route of the contract', () => {
    const routes = service.contract.operations.map(({ method, path }) => `${method} ${path}`);
    const tried = [...ROUTES.map(([route]) => route), ...FILTERED_LISTS, ...WITHOUT_RELYING_PARTY];
    expect(routes.filter((route) => !tried.includes(route))).toEqual([]);
  });
});
