import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
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
import { makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { toSpiffeId, TestService } from './support/service.js';

let service: TestService;
let login: Ceremonies<string>;
let log: AuditLog;
let calls: ApprovalCalls;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: SERVICES + APPROVALS, identities: IDENTITIES });
  login = await service.relyingParty(RP_ID);
  log = new AuditLog(service.client);
  calls = new ApprovalCalls(service);
});
afterAll(() => service.stop());

describe('a request for approval that SQL', () => {
  const tampered = async (id: string): Promise<unknown[]> =>
    (await log.events({ type: 'approval.tampered' })).filter(({ unmapped }) => unmapped?.['approval_id'] === id);

  it.each<[string, (other: { userId: string; approval: Approval }) => string]>([
    ['gives to another requester', () => `requested_by = '${toSpiffeId('helpdesk')}'`],
    ['prolongs', () => "expires_at = '2100-01-01T00:00:00Z'"],
    ['moves to another relying party', () => "rp_id = 'other.example.com'"],
    ['gives another permission', () => "permission = 'relying-parties:write'"],
    ['points to another user', ({ approval }) => `action = (SELECT action FROM approval WHERE id = '${approval.id}')`],
    ['gives a time without end', () => "decided_at = 'infinity'"],
    ['makes pending again', () => "status = 'pending', decided_at = now()"],
    ['calls approved', () => "status = 'approved', decided_by = 'x'"],
  ])('%s is not decided, and reported', async (_, change) => {
    const other = await calls.requestErasure();
    const { userId, approval } = await calls.requestErasure();
    await service.sql(`UPDATE approval SET ${change(other)} WHERE id = $1`, [approval.id]);
    for (const verb of ['approve', 'refuse'])
      expect(await calls.decide('second', approval, verb)).toMatchObject(UNKNOWN);
    expect((await calls.list()).map(({ id }) => id)).not.toContain(approval.id);
    expect((await tampered(approval.id)).length).toBeGreaterThan(0);
    expect([await calls.listPasskeys(userId), await calls.listPasskeys(other.userId)]).toMatchObject([[{}], [{}]]);
  });

  it('makes up is not decided, and expires as one that was tampered with', async () => {
    const { approval } = await calls.requestErasure();
    await service.sql(
      `INSERT INTO approval SELECT $1::uuid, permission, rp_id, action, $2, requested_at, expires_at, status, NULL, NULL, NULL, mac
         FROM approval WHERE id = $3`,
      [NOWHERE, toSpiffeId('third'), approval.id],
    );
    expect(await calls.decide('second', { id: NOWHERE })).toMatchObject(UNKNOWN);
    service.clock.advance(TTL_SECONDS);
    await service.running.app.get(ExpiredApprovals, { strict: false }).expire();
    expect(await calls.decide('second', { id: NOWHERE })).toMatchObject(UNKNOWN);
    const expiries = await log.events({ type: 'approval.expire' });
    expect(expiries.map(({ unmapped }) => unmapped?.['approval_id'])).not.toContain(NOWHERE);
    const [row] = await service.sql<{ status: string }>('SELECT status FROM approval WHERE id = $1', [NOWHERE]);
    expect(row).toEqual({ status: 'expired' });
    expect(await tampered(NOWHERE)).not.toHaveLength(0);
  });

  it('restores after its use does nothing, because the user is not the same any more', async () => {
    const { userId, approval } = await calls.requestErasure();
    const [row] = await service.sql<{ mac: Buffer }>('SELECT mac FROM approval WHERE id = $1', [approval.id]);
    requireStatus(await calls.decide('second', approval), 200);
    await login.registered(userId, new Authenticator());
    await service.sql(
      "UPDATE approval SET status = 'pending', decided_by = NULL, decided_at = NULL, reason = NULL, mac = $2 WHERE id = $1",
      [approval.id, row!.mac],
    );
    expect(await calls.decide('second', approval)).toMatchObject(STATE);
    expect(await calls.listPasskeys(userId)).toHaveLength(1);
  });

  it('of a user’s pseudonym, given to another user, erases nobody', async () => {
    const [one, other] = [await calls.requestErasure(), await calls.requestErasure()];
    const [asked] = await service.sql<{ uid: string }>(
      `SELECT action::json ->> 'user' AS uid FROM approval WHERE id = $1`,
      [other.approval.id],
    );
    for (const [userId, uid] of [
      [other.userId, randomUUID()],
      [one.userId, asked!.uid],
    ])
      await service.sql('UPDATE user_handle SET audit_uid = $2 WHERE user_id = $1', [userId, uid]);
    expect(await calls.read('second', other.approval)).toMatchObject({ userId: null });
    expect(await calls.decide('second', other.approval)).toMatchObject(STATE);
    expect(await calls.listPasskeys(one.userId)).toHaveLength(1);
  });
});

describe('a relying party that SQL weakens', () => {
  it('is not made genuine by a PUT of the same settings that nobody approves', async () => {
    const path = '/v1/relying-parties/weakened.example.com';
    const origins = ['https://weakened.example.com'];
    const settings = { name: 'Weakened', origins, policy: { userVerification: 'required' } };
    requireStatus(await service.client.call('operator', 'PUT', path, settings), 201);
    await service.sql(
      `UPDATE relying_party SET policy = jsonb_set(policy, '{userVerification}', '"discouraged"') WHERE rp_id = $1`,
      ['weakened.example.com'],
    );
    const weak = { ...settings, policy: { userVerification: 'discouraged' } };
    requireStatus(await service.client.call('operator', 'PUT', path, weak), 202);
    expect(await service.client.call('operator', 'GET', path)).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});
