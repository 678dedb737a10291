import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeAuthenticationRejected, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

interface DryRun {
  version: number;
  policy: Record<string, unknown>;
  warnings: { pointer: string; detail: string }[];
  wouldRefuse: { aaguid: string; name: string | null; credentials: number; reason: string }[];
}

const RP_ID = 'login.example.com';
const SYNCED = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const BOUND = '11111111-2222-4333-8444-555555555555';

let service: TestService;
let login: Ceremonies<string>;
const synced = new Authenticator({ aaguid: SYNCED });

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty(RP_ID);
  await login.registered('ada', synced);
  await login.registered('grace', new Authenticator({ aaguid: SYNCED }));
  const bound = { aaguid: BOUND, backupEligible: false, backedUp: false };
  await login.registered('ada', new Authenticator(bound));
  const { id } = await login.registered('ada', new Authenticator(bound));
  await service.client.call('auth-service', 'POST', `/v1/credentials/${id}/revoke`, { reason: 'lost' });
});
afterAll(() => service.stop());

const put = <Body>(query: string, policy: object, settings: object = {}) =>
  service.client.call<Body>('operator', 'PUT', `/v1/relying-parties/${RP_ID}${query}`, {
    name: RP_ID,
    origins: [`https://${RP_ID}`],
    policy,
    ...settings,
  });

const tryOut = async (policy: object, settings: object = {}): Promise<DryRun> =>
  requireStatus(await put<DryRun>('?dryRun=true', policy, settings), 200);

describe('PUT /v1/relying-parties/{rpId}?dryRun=true', () => {
  it('stores nothing and records nothing', async () => {
    const count = () => service.sql('SELECT count(*) FROM audit_event WHERE type LIKE $1', ['relying-party.%']);
    const before = [await service.digestTables(), await count()];
    expect(await tryOut({ backup: 'synced' })).toMatchObject({ version: 2, policy: { backup: 'synced' } });
    expect([await service.digestTables(), await count()]).toEqual(before);
  });

  it('counts, by model, the active passkeys that their next sign-in would refuse', async () => {
    const denied = await tryOut({ authenticators: { deny: [SYNCED] } });
    expect(denied.wouldRefuse).toEqual([
      { aaguid: SYNCED, name: 'Google Password Manager', credentials: 2, reason: 'authenticator-denied' },
    ]);
    const unknown = await tryOut({ authenticators: { unknown: 'deny' } });
    expect(unknown.wouldRefuse).toEqual([
      { aaguid: BOUND, name: null, credentials: 1, reason: 'authenticator-denied' },
    ]);
    const backup = await tryOut({ backup: 'device-bound' });
    expect(backup.wouldRefuse).toMatchObject([{ aaguid: SYNCED, credentials: 2, reason: 'backup-state-denied' }]);
    expect((await tryOut({})).wouldRefuse).toEqual([]);
  });

  it('counts, for each purpose, the passkeys that it would refuse and the policy alone would not', async () => {
    const purposes = { bound: { backup: 'device-bound' }, attested: { attestation: 'trusted' }, look: {} };
    const [manager, other] = [
      { aaguid: SYNCED, name: 'Google Password Manager', credentials: 2 },
      { aaguid: BOUND, name: null, credentials: 1 },
    ];
    expect((await tryOut({ purposes })).wouldRefuse).toEqual([
      { ...manager, reason: 'backup-state-denied', purpose: 'bound' },
      { ...manager, reason: 'attestation-untrusted', purpose: 'attested' },
      { ...other, reason: 'attestation-untrusted', purpose: 'attested' },
    ]);
    expect((await tryOut({ purposes, authenticators: { deny: [SYNCED] } })).wouldRefuse).toEqual([
      { ...manager, reason: 'authenticator-denied' },
      { ...other, reason: 'attestation-untrusted', purpose: 'attested' },
    ]);
    const lax = { backup: 'device-bound', purposes: { any: { backup: 'any' } } };
    expect((await tryOut(lax)).wouldRefuse).toEqual([{ ...manager, reason: 'backup-state-denied' }]);
  });

  it('counts every active passkey when it would switch the relying party off', async () => {
    const off = await tryOut({}, { enabled: false });
    expect(off.wouldRefuse).toMatchObject([
      { aaguid: SYNCED, credentials: 2, reason: 'relying-party-denied' },
      { aaguid: BOUND, credentials: 1, reason: 'relying-party-denied' },
    ]);
  });

  it('foresees what the real PUT then does', async () => {
    const policy = { authenticators: { deny: [SYNCED] } };
    const [model] = (await tryOut(policy)).wouldRefuse;
    requireStatus(await put('', policy), 200);
    expect(await login.authenticate(synced)).toMatchObject(makeAuthenticationRejected(model?.reason ?? ''));
    requireStatus(await put('?dryRun=false', {}), 200);
    expect((await login.authenticate(synced)).status).toBe(200);
  });

  it('answers for a relying party that does not exist yet', async () => {
    const answer = await service.client.call<DryRun>(
      'operator',
      'PUT',
      '/v1/relying-parties/new.example.com?dryRun=true',
      {
        name: 'New',
        origins: ['https://new.example.com'],
      },
    );
    expect(answer).toMatchObject({ status: 200, body: { version: 1, wouldRefuse: [] } });
    const got = await service.client.call('operator', 'GET', '/v1/relying-parties/new.example.com');
    expect(got).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });

  it('refuses what the real PUT refuses', async () => {
    expect(await put('?dryRun=true', { backup: 'none' })).toMatchObject(makeProblem(400, 'request-malformed'));
    expect(await put('?dryRun=true', {}, { version: 99 })).toMatchObject(makeProblem(409, 'relying-party-conflict'));
    expect(await put('?dryRun=yes', {})).toMatchObject(makeProblem(400, 'request-malformed'));
    expect(await put('?dryrun=true', {})).toMatchObject(makeProblem(400, 'request-malformed'));
  });
});

describe('the warnings of a relying party', () => {
  it('name the member of a purpose that demands less than the policy', async () => {
    const { warnings } = await tryOut({ purposes: { 'look/up': { userVerification: 'preferred' } } });
    expect(warnings).toEqual([
      { pointer: '/policy/purposes/look~1up/userVerification', detail: expect.stringContaining('look/up') },
    ]);
  });

  const impossible = { attestation: { trust: 'trusted' } };
  const warned = [{ pointer: '/policy/attestation/conveyance', detail: expect.stringContaining('direct') }];

  it('come with PUT, GET and the list, and a client can PUT them back', async () => {
    expect(await put('', impossible)).toMatchObject({ status: 200, body: { warnings: warned } });
    const got = await service.client.call<object>('operator', 'GET', `/v1/relying-parties/${RP_ID}`);
    expect(got.body).toMatchObject({ warnings: warned });
    const { body } = await service.client.call<{ data: object[] }>('operator', 'GET', '/v1/relying-parties');
    expect(body.data).toContainEqual(got.body);
    expect(await put('', impossible, got.body)).toMatchObject({ status: 200, body: got.body });
  });

  it('are recorded in the audit log', async () => {
    const [event] = await service.sql<{ event: string }>(
      `SELECT event::text FROM audit_event WHERE type = 'relying-party.update' AND event::text LIKE '%conveyance"]%' LIMIT 1`,
    );
    expect(event?.event).toContain('"warnings":["/policy/attestation/conveyance"]');
  });
});
