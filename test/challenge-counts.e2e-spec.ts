import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ChallengeCounts } from '../src/challenges/challenge-counts.js';
import { AuditLog } from './support/audit-log.js';
import { findViolations } from './support/ocsf/violations.js';
import { toSpiffeId, TestService } from './support/service.js';

const RP = 'login.example.com';
const SUMMARY = {
  ...{ status: 'Success', actor: { app_name: 'Passkey Manager' }, dst_endpoint: { hostname: RP } },
  unmapped: {
    ...{ rp_id: RP, issued_to: toSpiffeId('auth-service'), ceremony: 'authentication' },
    ...{ issued: 2, answered: 1, since: expect.stringMatching(/^\d{4}-.*Z$/) },
  },
};

let service: TestService;
let counts: ChallengeCounts;
beforeEach(async () => {
  service = await TestService.start();
  counts = service.running.app.get(ChallengeCounts);
});
afterEach(() => service.stop());

function count(): void {
  counts.countIssued(RP, toSpiffeId('auth-service'), 'authentication');
  counts.countIssued(RP, toSpiffeId('auth-service'), 'authentication');
  counts.countAnswered(RP, toSpiffeId('auth-service'), 'authentication');
}

describe('the summary of challenges', () => {
  it('is an event that an auditor finds by its type, and conforms to OCSF 1.8', async () => {
    count();
    await counts.write();
    const events = await new AuditLog(service.client).events({ type: 'challenge.summary' });
    expect(events).toEqual([expect.objectContaining(SUMMARY)]);
    expect(events.flatMap((event) => findViolations(event))).toEqual([]);
  });

  it('is written when the service stops', async () => {
    count();
    await service.running.stop();
    const rows = await service.sql<{ event: string }>("SELECT event FROM audit_event WHERE type = 'challenge.summary'");
    expect(rows.map(({ event }) => JSON.parse(event) as unknown)).toEqual([expect.objectContaining(SUMMARY)]);
  });
});
