import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { makeProblem } from './support/bodies.js';
import { TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

/** Inserts a row as whoever has the service's database role can, with an id that comes before all others. */
async function insertEvent(id: string, event: string): Promise<void> {
  const hash = createHash('sha256').update(Buffer.of(0)).update(event).digest();
  await service.sql(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome) VALUES ($1, $2, $3, 'credential.register', 'success')`,
    [id, event, hash],
  );
}

describe('a row of the audit log whose text is no event', () => {
  const texts = [
    'x',
    '',
    'null',
    '5',
    '[]',
    '{}',
    '{"a":1}',
    '{"metadata":null}',
    '{"metadata":5}',
    '['.repeat(20_000),
  ];
  const other = '01a00000-0000-7000-8000-000000000000';
  texts.push(JSON.stringify({ metadata: { event_code: 'credential.register', uid: other } }));

  it('is not shown, and keeps no auditor from the others', async () => {
    const log = new AuditLog(service.client);
    const before = (await log.events()).map(({ metadata: { uid } }) => uid);
    const ids = texts.map((_, n) => `ffffffff-ffff-7fff-bfff-${n.toString(16).padStart(12, '0')}`);
    for (const [n, text] of texts.entries()) await insertEvent(ids[n]!, text);
    const page = await log.readPage({ limit: 200 });
    expect(page.status).toBe(200);
    const shown = page.body.data.map(({ metadata: { uid } }) => uid);
    expect(shown).toEqual(expect.arrayContaining(before));
    expect(shown.filter((uid) => ids.includes(uid))).toEqual([]);
    for (const id of ids) {
      const answer = await service.client.call('auditor', 'GET', `/v1/audit/events/${id}`);
      expect(answer).toMatchObject(makeProblem(404, 'event-unknown'));
    }
  });

  it('does not end a list that is read in pages of one', async () => {
    const log = new AuditLog(service.client);
    let shown = 0;
    let cursor: string | null = null;
    for (let pages = 0; pages < 40 && (pages === 0 || cursor !== null); pages += 1) {
      const page = await log.readPage({ limit: 1, ...(cursor === null ? {} : { cursor }) });
      expect(page.status).toBe(200);
      shown += page.body.data.length;
      cursor = page.body.nextCursor;
    }
    expect(shown).toBeGreaterThan(0);
  });
});
