import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ExpiredApprovals } from '../src/approvals/expired-approvals.js';
import {
  type Approval,
  ApprovalCalls,
  APPROVALS,
  IDENTITIES,
  NOWHERE,
  RP_ID,
  SERVICES,
  TTL_SECONDS,
  STATE,
  UNKNOWN,
} from './support/approvals.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type AuditEvent, makeProblem, type Page } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { toSpiffeId, TestService } from './support/service.js';
import { until } from './support/until.js';

interface Party {
  version: number;
  policy: { userVerification: string };
}

let service: TestService;
let login: Ceremonies<string>;
let log: AuditLog;
let calls: ApprovalCalls;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: SERVICES + APPROVALS, identities: IDENTITIES });
  log = new AuditLog(service.client);
  calls = new ApprovalCalls(service);
});
afterAll(() => service.stop());

const typesOf = (events: AuditEvent[]): unknown[] => events.map(({ metadata }) => metadata.event_code);

const put = (settings: object): Promise<Answer<Approval & Party>> =>
  calls.call('operator', 'PUT', `/v1/relying-parties/${RP_ID}`, { name: RP_ID, origins: [login.origin], ...settings });
const readParty = async (): Promise<Party> =>
  requireStatus(await calls.call<Party>('operator', 'GET', `/v1/relying-parties/${RP_ID}`), 200);
const WEAKER = { policy: { userVerification: 'preferred' } };

/** Makes the relying party strict again, which needs no approval. */
beforeEach(async () => {
  login = service.ceremonies(RP_ID);
  expect([200, 201]).toContain((await put({})).status);
});

describe('the erasure of a user', () => {
  it('is answered 202 with the request for approval, and deletes nothing', async () => {
    const userId = calls.nameUser();
    const { id } = await login.registered(userId, new Authenticator());
    const answer = await calls.erase(userId);
    expect(answer).toMatchObject({
      status: 202,
      body: {
        permission: 'passkeys:erase',
        rpId: RP_ID,
        status: 'pending',
        requestedBy: toSpiffeId('operator'),
        userId,
      },
    });
    expect(answer.headers.location).toBe(`/v1/approvals/${answer.body.id}`);
    expect((await calls.listPasskeys(userId)).map((passkey) => passkey.id)).toEqual([id]);
  });

  it('runs when another identity approves it, once, and leaves the user’s id nowhere', async () => {
    const { userId, approval } = await calls.requestErasure();
    const reason = `${userId} asked for it`;
    const events = await log.collectDuring(async () => {
      expect(await calls.decide('second', approval, 'approve', reason)).toMatchObject({
        status: 200,
        body: { status: 'approved', decidedBy: toSpiffeId('second'), reason: '{user.uid} asked for it', userId: null },
      });
    });
    expect(typesOf(events)).toEqual(['approval.approve', 'user.erase']);
    for (const { unmapped } of events)
      expect(unmapped).toMatchObject({ approval_id: approval.id, requested_by: toSpiffeId('operator') });
    expect(await calls.listPasskeys(userId)).toEqual([]);
    const rows = await service.sql<{ row: string }>(
      'SELECT a::text AS row FROM approval a UNION ALL SELECT h::text FROM user_handle h UNION ALL SELECT e::text FROM audit_event e',
    );
    expect(rows.filter(({ row }) => new RegExp(`${userId}\\b`).test(row))).toEqual([]);

    await login.registered(userId, new Authenticator());
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    expect(await calls.decide('third', approval)).toMatchObject(STATE);
    expect(await calls.listPasskeys(userId)).toHaveLength(1);
  });

  it('never runs when another identity refuses it, and the caller reads why', async () => {
    const { userId, approval } = await calls.requestErasure();
    const events = await log.collectDuring(async () => {
      requireStatus(await calls.decide('second', approval, 'refuse', 'the wrong Ada'), 200);
    });
    expect(events.map(({ metadata, unmapped }) => [metadata.event_code, unmapped?.['status_reason']])).toEqual([
      ['approval.refuse', 'the wrong Ada'],
    ]);
    expect(await calls.decide('third', approval)).toMatchObject(STATE);
    expect(await calls.read('operator', approval)).toMatchObject({
      status: 'refused',
      reason: 'the wrong Ada',
      userId,
    });
    expect(await calls.listPasskeys(userId)).toHaveLength(1);
  });

  it('of an unknown user succeeds at once, because nothing is lost', async () => {
    expect(await calls.erase('nobody')).toMatchObject({ status: 204 });
  });

  it('that is asked for again by the same caller is the request that stands', async () => {
    const { userId, approval } = await calls.requestErasure();
    const events = await log.collectDuring(async () => {
      expect(await calls.erase(userId)).toMatchObject({ status: 202, body: { id: approval.id } });
    });
    expect(events).toEqual([]);
    expect((await calls.erase(userId, 'helpdesk')).body.id).not.toBe(approval.id);
  });

  it('is refused if the user was erased since, also if the user has registered again', async () => {
    const { userId, approval } = await calls.requestErasure();
    const other = requireStatus(await calls.erase(userId, 'helpdesk'), 202);
    requireStatus(await calls.decide('second', other), 200);
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    await login.registered(userId, new Authenticator());
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    expect(await calls.listPasskeys(userId)).toHaveLength(1);
    expect(await calls.read('second', approval)).toMatchObject({ status: 'pending', userId: null });
  });
});

describe('a change of a relying party', () => {
  it('that weakens the verification waits for an approval, which shows it', async () => {
    const { version } = await readParty();
    const change = { origins: [login.origin, 'https://more.example.com'], name: 'More', ...WEAKER };
    const approval = requireStatus(await put(change), 202);
    const { change: shown } = await calls.read('second', approval);
    expect(shown).toEqual({
      version,
      changes: [
        { pointer: '/name', before: RP_ID, after: 'More', weakens: false },
        {
          pointer: '/origins',
          before: [login.origin],
          after: [login.origin, 'https://more.example.com'],
          weakens: true,
        },
        { pointer: '/policy/userVerification', before: 'required', after: 'preferred', weakens: true },
      ],
    });
    expect(await readParty()).toMatchObject({ version, policy: { userVerification: 'required' } });
    const events = await log.collectDuring(() => calls.decide('second', approval));
    expect(typesOf(events)).toEqual(['approval.approve', 'relying-party.update']);
    expect(events[1]?.unmapped).toMatchObject({ approval_id: approval.id, name: 'More', version: version + 1 });
    expect(await readParty()).toMatchObject({ version: version + 1, policy: { userVerification: 'preferred' } });
  });

  it('that weakens a purpose waits for an approval, and then holds as it was asked for', async () => {
    const strict = { policy: { purposes: { 'pay/card': { backup: 'device-bound', challengeTtlSeconds: 60 } } } };
    const weak = {
      policy: { purposes: { 'pay/card': { challengeTtlSeconds: 300 }, look: { userVerification: 'required' } } },
    };
    expect(await put(strict)).toMatchObject({ status: 200 });
    const approval = requireStatus(await put(weak), 202);
    const { change } = await calls.read('second', approval);
    expect(change?.changes).toEqual([
      { pointer: '/policy/purposes/pay~1card/challengeTtlSeconds', before: 60, after: 300, weakens: true },
      { pointer: '/policy/purposes/pay~1card/backup', before: 'device-bound', after: null, weakens: true },
      { pointer: '/policy/purposes/look/userVerification', before: null, after: 'required', weakens: false },
    ]);
    expect(await readParty()).toMatchObject(strict);
    requireStatus(await calls.decide('second', approval), 200);
    expect((await readParty()).policy).toMatchObject(weak.policy);
  });

  it('that names a successor or moves the end waits for an approval, which a chain that came about since refuses', async () => {
    const [moving, next, other] = ['moving.example.com', 'next.example.com', 'other.example.com'];
    const name = (successor: object | null, rpId = moving) =>
      calls.call<Approval & Party>('operator', 'PUT', `/v1/relying-parties/${rpId}`, {
        ...{ name: rpId, origins: [`https://${rpId}`] },
        successor,
      });
    requireStatus(await name(null), 201);
    const approval = requireStatus(await name({ rpId: next }), 202);
    const weakens = { pointer: '/successor/rpId', before: null, after: next, weakens: true };
    expect((await calls.read('second', approval)).change?.changes).toContainEqual(weakens);
    requireStatus(await name({ rpId: other }, next), 201);
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    const ends = { rpId: other, endsAt: '2030-01-01T00:00:00.000Z' };
    const allowed = requireStatus(await name(ends), 202);
    requireStatus(await calls.decide('second', allowed), 200);
    expect([(await name(ends)).status, (await name(null)).status]).toEqual([200, 202]);
  });

  it('that weakens nothing needs no approval, and nor does a dry run', async () => {
    expect(await put({ name: 'Renamed', policy: { maxCredentialsPerUser: 5 } })).toMatchObject({ status: 200 });
    const path = `/v1/relying-parties/${RP_ID}?dryRun=true`;
    const settings = { name: RP_ID, origins: [login.origin], ...WEAKER };
    expect(await calls.call('operator', 'PUT', path, settings)).toMatchObject({ status: 200 });
  });

  it('is refused while a hundred other requests of the caller wait at the relying party', async () => {
    const approval = requireStatus(await put(WEAKER), 202);
    await service.sql(
      `INSERT INTO approval SELECT gen_random_uuid(), permission, rp_id, '{}', requested_by, requested_at, expires_at, status, NULL, NULL, NULL, mac
         FROM approval, generate_series(1, 99) WHERE id = $1`,
      [approval.id],
    );
    const weakest = { policy: { userVerification: 'discouraged' } };
    expect(await put(weakest)).toMatchObject(makeProblem(429, 'rate-limited'));
    await service.sql("DELETE FROM approval WHERE action = '{}'");
    expect(await put(weakest)).toMatchObject({ status: 202 });
  });

  it('is refused if the relying party has changed since', async () => {
    const approval = requireStatus(await put(WEAKER), 202);
    expect(await put({ name: 'Another' })).toMatchObject({ status: 200 });
    const events = await log.collectDuring(async () => {
      expect(await calls.decide('second', approval)).toMatchObject(STATE);
    });
    expect(events).toEqual([]);
    expect(await readParty()).toMatchObject({ name: 'Another', policy: { userVerification: 'required' } });
    expect(await calls.decide('second', approval, 'refuse')).toMatchObject({
      status: 200,
      body: { status: 'refused' },
    });
  });
});

describe('a request for approval', () => {
  it('cannot be decided by the identity that made it, which is recorded', async () => {
    const { userId, approval } = await calls.requestErasure();
    for (const verb of ['approve', 'refuse']) {
      const events = await log.collectDuring(async () => {
        expect(await calls.decide('operator', approval, verb)).toMatchObject(makeProblem(403, 'approval-denied'));
      });
      expect(events.map(({ metadata, status_code }) => [metadata.event_code, status_code])).toEqual([
        ['access.denied', 'approval-denied'],
      ]);
    }
    expect(await calls.listPasskeys(userId)).toHaveLength(1);
    expect(await calls.read('operator', approval)).toMatchObject({ status: 'pending' });
  });

  it('is decided once when two identities decide at the same moment, at two replicas', async () => {
    const replica = await service.startReplica();
    try {
      for (let round = 0; round < 5; round += 1) {
        const { userId, approval } = await calls.requestErasure();
        const path = `/v1/approvals/${approval.id}`;
        const reason = { reason: 'x' };
        const answers = await Promise.all([
          calls.call('second', 'POST', `${path}/approve`, reason),
          replica.client.call('third', 'POST', `${path}/approve`, reason),
          replica.client.call('second', 'POST', `${path}/refuse`, reason),
        ]);
        expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
        const { status } = await calls.read('third', approval);
        expect(await calls.listPasskeys(userId)).toHaveLength(status === 'approved' ? 0 : 1);
        const decisions = (await log.events()).filter(
          ({ metadata, unmapped }) =>
            unmapped?.['approval_id'] === approval.id && metadata.event_code !== 'approval.request',
        );
        expect(typesOf(decisions).sort()).toEqual(
          status === 'approved' ? ['approval.approve', 'user.erase'] : ['approval.refuse'],
        );
      }
    } finally {
      await replica.stop();
    }
  });

  it('outlives a restart of the service', async () => {
    const userId = calls.nameUser();
    await login.registered(userId, new Authenticator());
    const before = await service.startReplica();
    const path = `/v1/users/${userId}?rpId=${RP_ID}`;
    const { id } = requireStatus(await before.client.call<Approval>('operator', 'DELETE', path), 202);
    await before.stop();
    const after = await service.startReplica();
    const answer = await after.client.call('second', 'POST', `/v1/approvals/${id}/approve`, { reason: 'x' });
    await after.stop();
    expect(answer).toMatchObject({ status: 200, body: { status: 'approved' } });
    expect(await calls.listPasskeys(userId)).toEqual([]);
  });

  it('expires, with an event, and cannot be approved after that', async () => {
    const { userId, approval } = await calls.requestErasure();
    service.clock.advance(TTL_SECONDS);
    expect(await calls.read('operator', approval)).toMatchObject({ status: 'expired', decidedAt: null });
    expect((await calls.list('&status=expired')).map(({ id }) => id)).toContain(approval.id);
    expect((await calls.list('&status=pending')).map(({ id }) => id)).not.toContain(approval.id);
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    const expiries = await log.events({ type: 'approval.expire' });
    expect(expiries.map(({ unmapped }) => unmapped?.['approval_id'])).toContain(approval.id);
    expect(await calls.read('second', approval)).toMatchObject({ status: 'expired', decidedBy: null });
    expect(await calls.decide('third', approval)).toMatchObject(STATE);
    expect(await calls.listPasskeys(userId)).toHaveLength(1);
    expect(requireStatus(await calls.erase(userId), 202).id).not.toBe(approval.id);
  });

  it('that nobody looks at expires, too, once', async () => {
    const { approval } = await calls.requestErasure();
    service.clock.advance(TTL_SECONDS);
    const expired = service.running.app.get(ExpiredApprovals, { strict: false });
    await Promise.all([expired.expire(), expired.expire()]);
    expect(await expired.expire()).toBe(0);
    const events = await log.events({ type: 'approval.expire' });
    expect(events.filter(({ unmapped }) => unmapped?.['approval_id'] === approval.id)).toHaveLength(1);
  });

  it('is shown to the caller that made it and to those who decide, and exists for nobody else', async () => {
    const { approval } = await calls.requestErasure();
    for (const identity of ['operator', 'second']) expect(await calls.read(identity, approval)).toMatchObject(approval);
    for (const identity of ['helpdesk', 'auth-service', 'auditor'])
      expect(await calls.call(identity, 'GET', `/v1/approvals/${approval.id}`)).toMatchObject(UNKNOWN);
    expect((await calls.list('&status=pending')).map(({ id }) => id)).toContain(approval.id);
  });

  it('is listed in pages, the oldest first', async () => {
    await calls.requestErasure();
    const whole = await calls.list();
    const paged: Approval[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const from: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page = requireStatus(await calls.call<Page<Approval>>('third', 'GET', `/v1/approvals?limit=2${from}`), 200);
      paged.push(...page.data);
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(whole);
    expect(whole.map(({ id }) => id)).toEqual(whole.map(({ id }) => id).sort());
  });

  it.each([
    ['no reason', {}, 400],
    ['an empty reason', { reason: '' }, 400],
    ['a reason with a control character', { reason: 'a\u0000b' }, 400],
    ['a reason that is too long', { reason: 'x'.repeat(257) }, 400],
    ['an unknown member', { reason: 'x', status: 'approved' }, 400],
    ['a list', ['x'], 400],
  ])('is not decided by a body with %s', async (_, body, status) => {
    const { approval } = await calls.requestErasure();
    for (const verb of ['approve', 'refuse'])
      expect((await calls.call('second', 'POST', `/v1/approvals/${approval.id}/${verb}`, body)).status).toBe(status);
    expect(await calls.read('second', approval)).toMatchObject({ status: 'pending' });
  });

  it('is unknown by an id of nothing, and malformed by what is no id', async () => {
    expect(await calls.decide('second', { id: NOWHERE })).toMatchObject(UNKNOWN);
    expect(await calls.decide('second', { id: 'x' })).toMatchObject(makeProblem(400, 'request-malformed'));
    for (const query of ['status=done', 'limit=0', 'cursor=!', 'cursor=eA', 'rpId=x'])
      expect(await calls.call('second', 'GET', `/v1/approvals?${query}`)).toMatchObject(
        makeProblem(400, 'request-malformed'),
      );
  });
});

describe('a reload of the access policy', () => {
  const load = async (policy: string): Promise<void> => {
    const reloads = (await log.events({ type: 'policy.reload' })).length;
    await writeFile(join(dirname(service.pki.directory), 'access-policy.yaml'), policy);
    await until(async () => (await log.events({ type: 'policy.reload' })).length > reloads);
  };

  it('that takes the action from the caller stops its request', async () => {
    const { userId } = await calls.requestErasure();
    const approval = requireStatus(await calls.erase(userId, 'helpdesk'), 202);
    await load(SERVICES.replace('permissions: [passkeys:erase]', 'permissions: [passkeys:read]') + APPROVALS);
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    await load(SERVICES + APPROVALS);
    expect(await calls.decide('second', approval)).toMatchObject({ status: 200 });
    expect(await calls.listPasskeys(userId)).toEqual([]);
  });

  it('that removes the need lets callers act alone, closes the routes, and is recorded', async () => {
    const { userId, approval } = await calls.requestErasure();
    await load(SERVICES);
    const [event] = await log.events({ type: 'policy.reload' });
    expect(event?.unmapped).toMatchObject({ approvals_removed: ['passkeys:erase', 'relying-parties:write'] });
    const closed = makeProblem(404, 'not-found');
    expect(await calls.call('second', 'GET', '/v1/approvals')).toMatchObject(closed);
    expect(await calls.call('operator', 'GET', `/v1/approvals/${approval.id}`)).toMatchObject(closed);
    expect(await calls.decide('second', approval)).toMatchObject(closed);
    expect(await put(WEAKER)).toMatchObject({ status: 200 });
    expect(await calls.erase(userId)).toMatchObject({ status: 204 });
    expect(await calls.listPasskeys(userId)).toEqual([]);

    await load(SERVICES + APPROVALS);
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
  });
});
