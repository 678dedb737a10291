import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Ceremonies } from './support/ceremonies.js';
import { TestService } from './support/service.js';

let service: TestService;
let log: AuditLog;
let login: Ceremonies<string>;

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

describe('text from a caller is shown as it was sent', () => {
  it.each(['$&', '$$', '$`', "$'", '$1 $<name>', '"uid":"\\'])('when it is the user id %j', async (id) => {
    await login.registered(id, new Authenticator());
    const events = await log.events({ userId: id });
    expect(events.map((entry) => entry.user?.uid)).toEqual([id]);
    expect(events[0]?.unmapped).toMatchObject({ credential: { user_uid: id } });
    const path = `/v1/audit/events/${events[0]?.metadata.uid ?? ''}`;
    expect(await service.client.call('auditor', 'GET', path)).toMatchObject({ status: 200, body: events[0] });
  });

  it('when it reads like the name of a user in the log', async () => {
    await login.requestRegistration('newcomer', { identityProof: undefined });
    const { id } = await login.registered('newcomer', new Authenticator());
    const manage = (verb: string, reason: string): Promise<unknown> =>
      service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${verb}`, { reason });
    const named = await service.sql<{ uid: string }>(
      'SELECT user_id AS uid FROM audit_event WHERE user_id IS NOT NULL ORDER BY id DESC LIMIT 2',
    );
    expect(new Set(named.map(({ uid }) => uid)).size).toBe(2);
    for (const { uid } of named) {
      for (const reason of [uid, `"uid":"${uid}"`]) {
        await manage('suspend', reason);
        await manage('reinstate', reason);
        const [event] = await log.events({ type: 'credential.reinstate', credentialId: id, limit: 1 });
        expect(event?.unmapped?.['status_reason']).toBe(reason);
      }
    }
  });
});
