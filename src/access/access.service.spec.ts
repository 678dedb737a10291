import { beforeEach, describe, expect, it } from '@jest/globals';
import { AUTH_SERVICE, makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { FakePolicyStore } from '../../test/support/fake-policy-store.js';
import type { AuthorizedContext, Caller } from '../http/request-context.js';
import { Metrics } from '../telemetry/metrics.js';
import { parseAccessPolicy } from './access-policy.js';
import { AccessService } from './access.service.js';
import { type Permission, PERMISSIONS } from './permissions.js';
import { RiskSignals } from './risk-signals.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');
const GRANTED: readonly Permission[] = ['passkeys:register', 'passkeys:authenticate'];

let audit: FakeAudit;
let now: Date;
beforeEach(() => {
  audit = new FakeAudit();
  now = NOW;
});

function access(service = '', rest = ''): AccessService {
  const policy = parseAccessPolicy(`
version: 1
trustDomain: bank.example
services:
  - id: ${AUTH_SERVICE.spiffeId}
    permissions: [${GRANTED.join(', ')}]
    ${service}
${rest}`);
  const clock = { now: () => now };
  const metrics = new Metrics();
  const risks = new RiskSignals(clock, audit.service, metrics);
  return new AccessService(new FakePolicyStore(policy).service, clock, audit.refusals, risks, metrics);
}

/** A request that has passed CallerGuard and has no decision yet. */
function request(caller: Partial<Caller> = {}): AuthorizedContext {
  const { relyingParties, ...context } = makeAuthorizedContext(caller);
  return context as AuthorizedContext;
}

const denied = (detail: string) => ({ slug: 'permission-denied', members: { detail } });
const recorded = (detail: string) => [
  { type: 'access.denied', outcome: 'failure', reason: 'permission-denied', detail, rpId: undefined },
];

describe('a permission', () => {
  it.each(PERMISSIONS)('%s is demanded as the policy grants it', async (permission) => {
    const demand = access().authorize(request(), permission);
    if (GRANTED.includes(permission)) await expect(demand).resolves.toBeUndefined();
    else await expect(demand).rejects.toMatchObject(denied(`the caller lacks ${permission}`));
  });

  it('"any" is held by every identity that the policy names', async () => {
    await expect(access().authorize(request(), 'any')).resolves.toBeUndefined();
  });

  it.each([
    ['spiffe://bank.example/ns/prod/sa/stranger'],
    ['spiffe://bank.example/ns/prod/sa/auth-service/x'],
    ['spiffe://bank.example/ns/prod/sa'],
    ['SPIFFE://BANK.EXAMPLE/ns/prod/sa/auth-service'],
    [''],
  ])('"any" is not held by "%s", which it does not name', async (spiffeId) => {
    const detail = 'the access policy does not name the caller';
    await expect(access().authorize(request({ spiffeId }), 'any')).rejects.toMatchObject(denied(detail));
    expect(audit.entries).toEqual(recorded(detail));
  });

  it('that the caller lacks is recorded in the audit log before the caller is answered', async () => {
    await expect(access().authorize(request(), 'audit:read')).rejects.toThrow();
    expect(audit.entries).toEqual(recorded('the caller lacks audit:read'));
  });

  it('that the caller lacks fails the request when that cannot be recorded', async () => {
    audit.fails = () => true;
    await expect(access().authorize(request(), 'audit:read')).rejects.toThrow('the database is gone');
  });

  it('that the caller has leaves no event of its own', async () => {
    await access().authorize(request(), 'passkeys:register');
    expect(audit.entries).toEqual([]);
  });
});

describe('the deny list', () => {
  const detail = 'the access policy denies this caller or certificate';

  it.each([
    ['serial number', `serial: "5F:3A"`],
    ['fingerprint', `fingerprint: "${'AB'.repeat(32)}"`],
    ['public key', `publicKey: "${'CD'.repeat(32)}"`],
    ['identity', `id: ${AUTH_SERVICE.spiffeId}`],
  ])('stops a caller by its %s', async (_, denial) => {
    const service = access('', `deny: [{${denial}}]`);
    await expect(service.authorize(request(), 'passkeys:register')).rejects.toMatchObject(denied(detail));
    await expect(service.authorize(request(), 'any')).rejects.toMatchObject(denied(detail));
    expect(audit.entries).toEqual([...recorded(detail), ...recorded(detail)]);
  });

  it.each([
    ['serial number', 'serial: "5f3b"'],
    ['fingerprint', `fingerprint: "${'ac'.repeat(32)}"`],
    ['public key', `publicKey: "${'ce'.repeat(32)}"`],
    ['public key, which is its fingerprint', `publicKey: "${'ab'.repeat(32)}"`],
    ['identity', 'id: spiffe://bank.example/ns/prod/sa/auth-service2'],
    ['fingerprint, which is its serial number', `fingerprint: "${'5f'.repeat(32)}"`],
  ])('does not stop a caller by another %s', async (_, denial) => {
    await expect(access('', `deny: [{${denial}}]`).authorize(request(), 'any')).resolves.toBeUndefined();
  });

  it('stops a certificate by the fingerprint of its twin, and the log has the fingerprint that the policy names', async () => {
    const issued = '1f'.repeat(32);
    const context = request({ fingerprint: '2e'.repeat(32), twinFingerprint: issued });
    const demand = access('', `deny: [{ fingerprint: "${issued}" }]`).authorize(context, 'any');
    await expect(demand).rejects.toMatchObject(denied(detail));
    expect(audit.contexts.map((recorded) => recorded?.caller?.fingerprint)).toEqual([issued]);
  });

  it('does not stop a certificate that has no twin', async () => {
    const denial = `deny: [{ serial: "01" }, { publicKey: "${'1f'.repeat(32)}" }]`;
    await expect(access('', denial).authorize(request({ twinFingerprint: undefined }), 'any')).resolves.toBeUndefined();
  });

  it('stops a caller by any of its entries', async () => {
    const service = access('', 'deny: [{serial: "01"}, {serial: "02"}, {serial: "5f3a"}]');
    await expect(service.authorize(request(), 'any')).rejects.toMatchObject(denied(detail));
  });
});

describe('a grant that ends', () => {
  it.each([
    ['in a year', '2027-06-30T12:00:00Z', true],
    ['in a millisecond', '2026-06-30T12:00:00.001Z', true],
    ['now', '2026-06-30T12:00:00.000Z', true],
    ['a millisecond ago', '2026-06-30T11:59:59.999Z', false],
    ['now, in another zone', '2026-06-30T14:00:00+02:00', true],
    ['a millisecond ago, in another zone', '2026-06-30T13:59:59.999+02:00', false],
  ])('%s (%s) applies: %s', async (_, notAfter, applies) => {
    const demand = access(`notAfter: ${notAfter}`).authorize(request(), 'passkeys:register');
    if (applies) await expect(demand).resolves.toBeUndefined();
    else await expect(demand).rejects.toMatchObject(denied('the grant has ended'));
  });

  it('ends at the next request, not at the next connection', async () => {
    const service = access('notAfter: 2026-06-30T12:00:00Z');
    await service.authorize(request(), 'any');
    now = new Date(NOW.getTime() + 1);
    await expect(service.authorize(request(), 'any')).rejects.toMatchObject(denied('the grant has ended'));
  });
});

describe('the relying parties of a grant', () => {
  it.each([
    ['', null],
    ['relyingParties: [a.example, b.example]', ['a.example', 'b.example']],
  ])('are put into the request’s context: "%s"', async (grant, relyingParties) => {
    const context = request();
    await access(grant).authorize(context, 'passkeys:register');
    expect(context.relyingParties).toEqual(relyingParties);
  });

  it('are not put there when the request is refused', async () => {
    const context = request();
    await expect(access().authorize(context, 'audit:read')).rejects.toThrow();
    expect(context).not.toHaveProperty('relyingParties');
  });

  it.each([
    [null, 'any.example', true],
    [['a.example', 'b.example'], 'b.example', true],
    [['a.example'], 'b.example', false],
    [['a.example'], 'A.EXAMPLE', false],
    [['a.example'], 'login.a.example', false],
    [[], 'a.example', false],
  ])('of %j include "%s": %s', async (relyingParties, rpId, included) => {
    const demand = access().authorizeRelyingParty(makeAuthorizedContext({}, relyingParties), rpId);
    if (included) return expect(demand).resolves.toBeUndefined();
    const detail = `the caller may not act for ${rpId}`;
    await expect(demand).rejects.toMatchObject({ slug: 'relying-party-denied', members: { detail } });
    expect(audit.entries).toMatchObject([{ type: 'access.denied', reason: 'relying-party-denied', rpId }]);
  });
});

describe('the grant of a caller', () => {
  it('is that of the policy', async () => {
    expect(await access('requestsPerSecond: 7').getGrant(makeAuthorizedContext())).toMatchObject({
      id: AUTH_SERVICE.spiffeId,
      permissions: new Set(GRANTED),
      requestsPerSecond: 7,
    });
  });

  it('is denied if the policy lost it after the request was allowed', async () => {
    const detail = 'the access policy does not name the caller';
    const gone = makeAuthorizedContext({ spiffeId: 'spiffe://bank.example/ns/prod/sa/gone' });
    await expect(access().getGrant(gone)).rejects.toMatchObject(denied(detail));
    expect(audit.entries).toEqual(recorded(detail));
  });
});

describe('a rate', () => {
  it('is kept for each identity, and says when to come again', async () => {
    const service = access('requestsPerSecond: 2');
    await service.authorize(request(), 'any');
    await service.authorize(request(), 'passkeys:register');
    await expect(service.authorize(request(), 'any')).rejects.toMatchObject({
      slug: 'rate-limited',
      members: { retryAfter: 0.5 },
    });
    now = new Date(NOW.getTime() + 500);
    await expect(service.authorize(request(), 'any')).resolves.toBeUndefined();
  });

  it('is not spent by requests that are refused anyway', async () => {
    const service = access('requestsPerSecond: 1');
    for (let count = 0; count < 5; count += 1) {
      await expect(service.authorize(request(), 'audit:read')).rejects.toMatchObject({ slug: 'permission-denied' });
    }
    await expect(service.authorize(request(), 'any')).resolves.toBeUndefined();
  });

  it('that the policy omits limits nothing', async () => {
    const service = access();
    for (let count = 0; count < 1_000; count += 1) await service.authorize(request(), 'any');
  });
});

describe('the service reports as a risk', () => {
  const risks = () => audit.entries.filter(({ type }) => type === 'risk.signal').map(({ reason }) => reason);

  it('a certificate of another authority that carries an identity of the policy', async () => {
    const service = access();
    for (const authority of ['a', 'b']) await service.authorize(request({ authority }), 'any');
    expect(risks()).toEqual(['authority-changed']);
  });

  it('no stranger’s certificate, because others would be forgotten for it', async () => {
    const service = access();
    const spiffeId = 'spiffe://bank.example/stranger';
    for (const authority of ['a', 'b']) {
      await expect(service.authorize(request({ spiffeId, authority }), 'any')).rejects.toThrow();
    }
    expect(risks()).toEqual([]);
  });

  it('the twentieth denial of an identity', async () => {
    const service = access();
    for (let denials = 0; denials < 20; denials += 1) {
      await service.authorize(request(), 'audit:read').catch(() => undefined);
    }
    expect(risks()).toEqual(['denial-spike']);
  });
});

describe('every decision', () => {
  it('is counted by permission and outcome, and written into the request’s context', async () => {
    const metrics = new Metrics();
    const clock = { now: () => now };
    const policy = parseAccessPolicy(`
version: 1
trustDomain: bank.example
services:
  - { id: ${AUTH_SERVICE.spiffeId}, permissions: [audit:read] }
`);
    const service = new AccessService(
      new FakePolicyStore(policy).service,
      clock,
      audit.refusals,
      new RiskSignals(clock, audit.service, metrics),
      metrics,
    );
    const context = { ...request(), epoch: 6 };
    await service.authorize(context, 'audit:read');
    const decision = { permission: 'audit:read', policyDigest: policy.digest, epoch: 6 };
    expect(context.decision).toEqual({ ...decision, outcome: 'allowed' });
    const { epoch: _, ...unknownEpoch } = context;
    await service.authorize(unknownEpoch, 'passkeys:read').catch(() => undefined);
    expect(unknownEpoch.decision).toEqual({ ...decision, permission: 'passkeys:read', outcome: 'denied', epoch: 0 });
    expect((await metrics.decisions.get()).values).toMatchObject([
      { labels: { permission: 'audit:read', outcome: 'allowed' }, value: 1 },
      { labels: { permission: 'passkeys:read', outcome: 'denied' }, value: 1 },
    ]);
  });

  it('is a denial when the relying party is another caller’s', async () => {
    const context = { ...makeAuthorizedContext({}, ['login.bank.example']) };
    const decision = { outcome: 'allowed', permission: 'any', policyDigest: 'd', epoch: 1 } as const;
    context.decision = decision;
    await expect(access().authorizeRelyingParty(context, 'other.example')).rejects.toThrow();
    expect(context.decision).toEqual({ ...decision, outcome: 'denied' });
  });
});

describe('an answer that takes long', () => {
  it.each<[string, boolean, AuthorizedContext, Permission]>([
    ['is allowed as its request was', true, makeAuthorizedContext(), 'passkeys:register'],
    ['ends with a permission', false, makeAuthorizedContext(), 'audit:export'],
    [
      'ends with a grant',
      false,
      makeAuthorizedContext({ spiffeId: 'spiffe://bank.example/stranger' }),
      'passkeys:register',
    ],
    [
      'ends with the trust in its connection',
      false,
      { ...makeAuthorizedContext(), stillTrusted: () => Promise.resolve(false) },
      'passkeys:register',
    ],
  ])('%s', async (_, allowed, context, permission) => {
    expect(await access().isStillAllowed(context, permission)).toBe(allowed);
    expect(audit.entries).toEqual([]);
  });

  it.each([
    ['relyingParties: [a.example]', 'a.example', true],
    ['relyingParties: [a.example]', 'b.example', false],
    ['', 'b.example', true],
  ])('ends with the grant of its relying party: "%s", %s', async (grant, rpId, allowed) => {
    expect(await access(grant).isStillAllowed(makeAuthorizedContext(), 'passkeys:register', rpId)).toBe(allowed);
  });
});
