import { describe, expect, it } from '@jest/globals';
import { toFirstId } from '../../src/audit/audit-event.repository.js';
import type { EndedPasskey } from './exported-events.js';
import { type Outcome, repeatRevocations } from './repeat-revocations.js';
import type { ServiceAnswer } from '../service/service-caller.js';

const EXPORTED_UNTIL = new Date('2026-03-01T12:00:00Z');
const BEFORE = '2026-03-01T09:00:00.000Z';
const AFTER = '2026-03-01T13:00:00.000Z';
const TRANSITIONS: Readonly<Record<string, string>> = { revoke: 'revoked', suspend: 'suspended' };

/** Keeps the status of passkeys as the service does, and loses answers if a test says so. */
class FakeService {
  readonly reasons: unknown[] = [];
  losesAnswers = false;
  readonly rows: Map<string, { status: string; statusChangedAt: string }>;

  constructor(rows: Record<string, [status: string, statusChangedAt: string]>) {
    const entries = Object.entries(rows).map(
      ([id, [status, statusChangedAt]]) => [id, { status, statusChangedAt }] as const,
    );
    this.rows = new Map(entries);
  }

  call = (method: string, path: string, body: object = {}): Promise<ServiceAnswer> => {
    const [, , , id = '', action = ''] = path.split(/[/?]/);
    if (path.startsWith('/v1/credentials?')) return Promise.resolve({ status: 200, body: {} });
    const row = this.rows.get(id);
    if (!row) return Promise.resolve({ status: 404, body: { type: 'urn:passkey-manager:problem:credential-unknown' } });
    if (method === 'GET') return Promise.resolve({ status: 200, body: row });
    this.reasons.push((body as { reason: string }).reason);
    row.status = TRANSITIONS[action]!;
    return Promise.resolve(this.losesAnswers ? { status: 503, body: {} } : { status: 200, body: row });
  };
}

function ended(id: string, status: EndedPasskey['status'], reason = 'stolen'): EndedPasskey {
  const event = {
    id: toFirstId(Date.parse(BEFORE)),
    type: `credential.${status}`,
    leaf: 1,
    version: 2,
    user: null,
    reason,
  };
  return { id, rpId: 'rp', status, event };
}

async function repeat(service: FakeService, passkeys: readonly EndedPasskey[], dryRun = false): Promise<string[]> {
  const outcomes: Outcome[] = [];
  for await (const outcome of repeatRevocations(service, passkeys, [], { dryRun, exportedUntil: EXPORTED_UNTIL }))
    outcomes.push(outcome);
  return outcomes.map((outcome) => `${'passkey' in outcome ? outcome.passkey.id : ''} ${outcome.kind}`);
}

describe('the repetition of revocations', () => {
  it.each<[now: string, at: string, exported: EndedPasskey['status'], outcome: string, then: string]>([
    ['active', BEFORE, 'revoked', 'repeated', 'revoked'],
    ['suspended', BEFORE, 'revoked', 'repeated', 'revoked'],
    ['revoked', BEFORE, 'revoked', 'kept', 'revoked'],
    ['active', AFTER, 'revoked', 'repeated', 'revoked'],
    ['active', BEFORE, 'suspended', 'repeated', 'suspended'],
    ['suspended', BEFORE, 'suspended', 'kept', 'suspended'],
    ['revoked', BEFORE, 'suspended', 'kept', 'revoked'],
    ['active', AFTER, 'suspended', 'newer', 'active'],
  ])('of a passkey that is %s since %s and should be %s: %s', async (now, at, status, outcome, then) => {
    const service = new FakeService({ a: [now, at] });
    expect(await repeat(service, [ended('a', status)])).toEqual([`a ${outcome}`]);
    expect(service.rows.get('a')?.status).toBe(then);
  });

  it('takes every passkey once, in the order of the exports', async () => {
    const ids = Array.from({ length: 11 }, (_, index) => `p${String(index)}`);
    const service = new FakeService(Object.fromEntries(ids.slice(1).map((id) => [id, ['active', BEFORE]])));
    const passkeys = ids.map((id) => ended(id, 'revoked'));
    expect(await repeat(service, passkeys)).toEqual(['p0 gone', ...ids.slice(1).map((id) => `${id} repeated`)]);
    expect(service.reasons).toHaveLength(10);
  });

  it('counts a change whose answer was lost as done', async () => {
    const service = new FakeService({ a: ['active', BEFORE] });
    service.losesAnswers = true;
    expect(await repeat(service, [ended('a', 'revoked')])).toEqual(['a repeated']);
  });

  it('gives the reason of the event, of no more characters than the service takes', async () => {
    const service = new FakeService({ a: ['active', BEFORE], b: ['active', BEFORE] });
    await repeat(service, [ended('a', 'revoked', 'lost'), ended('b', 'suspended', '🔑'.repeat(300))]);
    expect(service.reasons).toEqual(['lost', '🔑'.repeat(256)]);
  });

  it('changes nothing in a dry run', async () => {
    const service = new FakeService({ a: ['active', BEFORE] });
    expect(await repeat(service, [ended('a', 'revoked')], true)).toEqual(['a due']);
    expect(service.reasons).toEqual([]);
  });
});
