import { AuditLog } from './audit-log.js';
import { Authenticator } from './authenticator/authenticator.js';
import { generateKey } from './authenticator/keys.js';
import type { AuthenticationChallenge } from './bodies.js';
import { type Ceremonies, requireStatus } from './ceremonies.js';
import type { Answer } from './client.js';
import { encodeLines, movePasskey } from './imports.js';
import { PaymentCeremonies } from './payment-ceremonies.js';
import { Receiver } from './receiver.js';
import { type TestService, type TestServiceOptions, toSpiffeId } from './service.js';

const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:confirm, payments:confirm, passkeys:read, passkeys:manage, events:manage, events:receive]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:read, passkeys:erase, passkeys:export, passkeys:import]
  - id: ${toSpiffeId('second')}
    permissions: [approvals:decide]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read, audit:export, statistics:read]
approvals:
  permissions: [relying-parties:write]
`;

/** Requests that change nothing and record no event of their own, and one whose verdicts say so, line by line. */
export const UNRECORDED = [
  ...['POST /v1/challenges/confirmation', 'POST /v1/challenges/payment'],
  ...['POST /v1/challenges/registration', 'POST /v1/challenges/authentication'],
  ...['GET /v1/credentials', 'GET /v1/credentials/{id}', 'GET /v1/credentials/{id}/browser-keys'],
  ...['GET /v1/users/{userId}/signals', 'POST /v1/credentials/import'],
  ...['GET /v1/relying-parties', 'GET /v1/relying-parties/{rpId}', 'GET /v1/relying-parties/{rpId}/related-origins'],
  ...['GET /v1/relying-parties/{rpId}/migration'],
  ...['GET /v1/approvals', 'GET /v1/approvals/{id}', 'GET /v1/statistics'],
  ...[
    'GET /v1/signals/streams',
    'GET /v1/signals/status',
    'POST /v1/signals/verification',
    'POST /v1/signals/poll/{id}',
  ],
  ...['GET /v1/audit/events/{id}/proof', 'GET /v1/audit/checkpoint', 'GET /v1/audit/consistency'],
];

/**
 * A request to each route that needs the database, except the two that register and sign in. They may be sent together and again,
 * as long as all of them fail.
 */
export class EveryRoute {
  /** What the service needs. */
  static readonly access: Pick<TestServiceOptions, 'accessPolicy' | 'identities'> = {
    accessPolicy: POLICY,
    identities: ['second'],
  };

  private constructor(
    readonly login: Ceremonies<string>,
    /** Has the passkey of the user `ada`. */
    readonly authenticator: Authenticator,
    /** By the name of the route; and a change that needs an approval, and a denial, which must be recorded. */
    readonly requests: readonly [route: string, () => Promise<Answer<unknown>>][],
  ) {}

  /** Makes a relying party, passkeys, and a request for an approval. */
  static async open(service: TestService): Promise<EveryRoute> {
    const login = await service.relyingParty('login.example.com', { browserKeys: { unknown: 'step-up' } });
    const authenticator = new Authenticator();
    const credential = await login.registered('ada', authenticator);
    const suspended = await login.registered('grace', new Authenticator());
    const path = `/v1/credentials/${suspended.id}/suspend`;
    requireStatus(await service.client.call('auth-service', 'POST', path, { reason: 'lost' }), 200);
    const settings = { name: 'Login', origins: [login.origin], policy: { userVerification: 'preferred' } };
    const party = `/v1/relying-parties/${login.rpId}`;
    const change = await service.client.call<{ id: string }>('operator', 'PUT', party, settings);
    const approval = requireStatus(change, 202).id;
    const [registration] = await new AuditLog(service.client).events({ credentialId: credential.id });
    const ids = {
      id: credential.id,
      suspended: suspended.id,
      approval,
      event: registration!.metadata.uid,
      ...(await payFromNewBrowser(service, login)),
      stream: (await Receiver.create(service.client, 'auth-service')).id,
    };
    const requests = listRequests(service, login, ids);
    return new EveryRoute(login, authenticator, [
      ...requests,
      ...(await listTransactions(service, login, authenticator)),
    ]);
  }
}

const TRANSACTION = { kind: 'transfer', to: 'DE02120300000000202051' };
const PAYMENT = {
  total: { currency: 'EUR', value: '250.00' },
  payeeName: 'Shop',
  payeeOrigin: 'https://shop.example',
  instrument: { displayName: 'Debit card ••1234', icon: 'https://login.example.com/card.png' },
  callerOrigins: ['https://shop.example'],
};

/** The challenges of transactions and the answers to them: a right one, and one that is refused. */
async function listTransactions(
  service: TestService,
  { rpId, origin }: Ceremonies<string>,
  authenticator: Authenticator,
): Promise<EveryRoute['requests']> {
  const post = (path: string, body: object) => () =>
    service.client.call<AuthenticationChallenge>('auth-service', 'POST', path, body);
  const confirm = post('/v1/challenges/confirmation', { rpId, userId: 'ada', transaction: TRANSACTION });
  const pay = post('/v1/challenges/payment', { rpId, userId: 'ada', payment: PAYMENT });
  const [confirmation, payment] = [requireStatus(await confirm(), 201), requireStatus(await pay(), 201)];
  const response = authenticator.get(confirmation.publicKey, origin);
  const { challengeId } = confirmation;
  return [
    ['POST /v1/challenges/confirmation', confirm],
    ['POST /v1/confirmations', post('/v1/confirmations', { challengeId, response, transaction: TRANSACTION })],
    ['POST /v1/challenges/payment', pay],
    ['POST /v1/payments', post('/v1/payments', { challengeId: payment.challengeId, response })],
  ];
}

/** Has a passkey with a browser-bound key that is not trusted yet. */
async function payFromNewBrowser(
  service: TestService,
  login: Ceremonies<string>,
): Promise<{ payer: string; thumbprint: string }> {
  const authenticator = new Authenticator();
  const { id } = await login.registered('edsger', authenticator);
  const payments = new PaymentCeremonies(service.client, 'auth-service', login.rpId, 'edsger');
  const { browserKey } = requireStatus(await payments.pay(authenticator, generateKey('ES256')), 200);
  return { payer: id, thumbprint: browserKey!.thumbprint };
}

interface Ids {
  readonly payer: string;
  readonly thumbprint: string;
  readonly id: string;
  readonly suspended: string;
  readonly approval: string;
  readonly event: string;
  readonly stream: string;
}

function listRequests(
  service: TestService,
  login: Ceremonies<string>,
  { id, suspended, approval, event, payer, thumbprint, stream }: Ids,
): EveryRoute['requests'] {
  const call = (identity: string, method: string, path: string, body?: unknown) => () =>
    service.client.call<unknown>(identity, method, path, body);
  const of = (identity: string, route: string, members: Readonly<Record<string, string>> = {}, body?: unknown) => {
    const [method = '', pattern = ''] = route.split(' ');
    const { query = '', ...parameters } = members;
    const path = pattern.replaceAll(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? '');
    return [route, call(identity, method, path + query, body)] as [string, () => Promise<Answer<unknown>>];
  };
  const reason = { reason: 'x' };
  const settings = { name: 'New', origins: ['https://new.example.com'] };
  const weaker = { name: 'Login', origins: ['https://login.example.com'], policy: { allowSha1Tpm: true } };
  const ada = { userId: 'ada', query: '?rpId=login.example.com' };
  const party = { rpId: 'login.example.com' };
  const streamQuery = { query: `?stream_id=${stream}` };
  const subject = { format: 'iss_sub', iss: 'https://login.example.com', sub: 'grace' };
  return [
    ['POST /v1/challenges/registration', () => login.requestRegistration('grace')],
    ['POST /v1/challenges/authentication', () => login.requestAuthentication({ userId: 'ada' })],
    of('auth-service', 'GET /v1/credentials'),
    [
      'POST /v1/credentials/import',
      () =>
        service.client.send('operator', 'POST', '/v1/credentials/import?rpId=login.example.com', {
          headers: { 'content-type': 'application/x-ndjson' },
          body: encodeLines([movePasskey(new Authenticator(), 'login.example.com', 'moved')]),
        }),
    ],
    of('auth-service', 'GET /v1/credentials/{id}', { id }),
    of('auth-service', 'PATCH /v1/credentials/{id}', { id }, { name: 'Renamed' }),
    of('auth-service', 'POST /v1/credentials/{id}/suspend', { id }, reason),
    of('auth-service', 'POST /v1/credentials/{id}/reinstate', { id: suspended }, reason),
    of('auth-service', 'POST /v1/credentials/{id}/revoke', { id }, reason),
    of('auth-service', 'GET /v1/credentials/{id}/browser-keys', { id: payer }),
    of('auth-service', 'POST /v1/credentials/{id}/browser-keys/{thumbprint}/trust', { id: payer, thumbprint }, reason),
    of('auth-service', 'POST /v1/credentials/{id}/browser-keys/{thumbprint}/revoke', { id: payer, thumbprint }, reason),
    of('auth-service', 'GET /v1/users/{userId}/signals', ada),
    of('auth-service', 'POST /v1/users/{userId}/revoke', ada, reason),
    of('operator', 'GET /v1/credentials/export', { query: '?rpId=login.example.com' }),
    of('operator', 'DELETE /v1/users/{userId}', ada),
    of('auth-service', 'POST /v1/signals/streams', {}, {}),
    of('auth-service', 'GET /v1/signals/streams', streamQuery),
    of('auth-service', 'PATCH /v1/signals/streams', {}, { stream_id: stream, description: 'x' }),
    of('auth-service', 'PUT /v1/signals/streams', {}, { stream_id: stream }),
    of('auth-service', 'GET /v1/signals/status', streamQuery),
    of('auth-service', 'POST /v1/signals/status', {}, { stream_id: stream, status: 'enabled' }),
    of('auth-service', 'POST /v1/signals/subjects/add', {}, { stream_id: stream, subject }),
    of('auth-service', 'POST /v1/signals/subjects/remove', {}, { stream_id: stream, subject }),
    of('auth-service', 'POST /v1/signals/verification', {}, { stream_id: stream }),
    of('auth-service', 'POST /v1/signals/poll/{id}', { id: stream }, { returnImmediately: true }),
    of('auth-service', 'DELETE /v1/signals/streams', streamQuery),
    of('operator', 'GET /v1/relying-parties'),
    of('operator', 'GET /v1/relying-parties/{rpId}', party),
    of('operator', 'GET /v1/relying-parties/{rpId}/related-origins', party),
    of('operator', 'GET /v1/relying-parties/{rpId}/migration', party),
    of('operator', 'PUT /v1/relying-parties/{rpId}', { rpId: 'new.example.com' }, settings),
    of('second', 'GET /v1/approvals'),
    of('operator', 'GET /v1/approvals/{id}', { id: approval }),
    of('second', 'POST /v1/approvals/{id}/approve', { id: approval }, reason),
    of('second', 'POST /v1/approvals/{id}/refuse', { id: approval }, reason),
    ['a change that needs an approval', call('operator', 'PUT', '/v1/relying-parties/login.example.com', weaker)],
    of('auditor', 'GET /v1/statistics', { query: '?rpId=login.example.com' }),
    of('auditor', 'GET /v1/audit/events'),
    of('auditor', 'GET /v1/audit/events/{id}', { id: event }),
    of('auditor', 'GET /v1/audit/events/{id}/proof', { id: event }),
    of('auditor', 'GET /v1/audit/checkpoint'),
    of('auditor', 'GET /v1/audit/consistency', { query: '?from=0&to=1' }),
    of('auditor', 'GET /v1/audit/export'),
    ['a denial', call('stranger', 'GET', '/v1/credentials')],
  ];
}
