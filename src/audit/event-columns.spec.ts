import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { AUDIT_EVENTS, type AuditEntry, type AuditEventType } from './audit-entry.js';
import { createAuditRow, INSERT_EVENT } from './audit-event.repository.js';
import { COLUMNS_HOLD_SQL } from './event-columns.js';

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
afterAll(() => database.close());

const NOW = new Date('2026-06-30T12:00:00.000Z');
/** Names a user in the log. A stand-in of a stranger begins with a tilde. */
const UID = fc.oneof(fc.uuid(), fc.constant('~AAECAwQFBgcICQoLDA0ODw'));
/** PostgreSQL stores no NUL. */
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => value.replaceAll('\0', ''));
const nasty = fc.oneof(
  text,
  fc.constantFrom('"', '\\', '"}', '\u0001\n\t\u007f\u2028', '","rp_id":"x', '"user_uid":"x"'),
);

/** Types of events whose record names the user. */
const OF_USER: AuditEventType[] = ['credential.verify', 'credential.register', 'challenge.limit', 'user.erase'];
const OF_CREDENTIAL: AuditEventType[] = [
  'credential.rename',
  'credential.suspend',
  'credential.tampered',
  'credential.verify',
];
const ALL = Object.keys(AUDIT_EVENTS) as AuditEventType[];

const common = {
  outcome: fc.constantFrom('success' as const, 'failure' as const),
  rpId: fc.option(fc.constantFrom('a.example', 'login.b.example'), { nil: undefined }),
  detail: nasty,
  facts: fc.option(fc.record({ status: nasty, purpose: nasty, credentials: fc.nat() }), { nil: undefined }),
};
const credential = fc.record(
  { id: fc.uuid(), credentialId: fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/) },
  { requiredKeys: ['credentialId'] },
);
const userId = fc.constant('named by uid');
const ENTRY: fc.Arbitrary<AuditEntry> = fc.oneof(
  fc.record({ ...common, type: fc.constantFrom(...ALL) }),
  fc.record({ ...common, type: fc.constantFrom(...OF_USER), userId }),
  fc.record({ ...common, type: fc.constantFrom(...OF_CREDENTIAL), userId, credential }),
  fc.record({ ...common, type: fc.constantFrom(...OF_CREDENTIAL), credential }),
);

/** Inserts an event. @returns its id */
async function insert(entry: AuditEntry, uid: string, isCalled: boolean): Promise<string> {
  const context = isCalled ? makeAuthorizedContext() : null;
  const row = createAuditRow(entry, context, NOW, entry.userId === undefined ? undefined : uid);
  await INSERT_EVENT.run(database.dataSource, row.values);
  return row.id;
}

async function hold(id: string): Promise<boolean | null> {
  const [row] = await database.sql<{ hold: boolean | null }>(
    `SELECT ${COLUMNS_HOLD_SQL} AS hold FROM audit_event WHERE id = $1`,
    [id],
  );
  return row!.hold;
}

describe('the columns of an event', () => {
  it('hold for every event that the service writes', async () => {
    await fc.assert(
      fc.asyncProperty(ENTRY, UID, fc.boolean(), async (entry, uid, isCalled) => {
        expect(await hold(await insert(entry, uid, isCalled))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['type', `'audit.read'`],
    ['outcome', `'failure'`],
    ['outcome', `''`],
    ['actor', 'NULL'],
    ['actor', `'spiffe://bank.example/another'`],
    ['rp_id', 'NULL'],
    ['rp_id', `'b.example'`],
    ['user_id', 'NULL'],
    ['user_id', `'~AAECAwQFBgcICQoLDA0ODw'`],
    ['user_id', 'credential_uid::text'],
    ['credential_uid', 'NULL'],
    ['credential_uid', 'user_id::uuid'],
    ['credential_id', 'NULL'],
    ['credential_id', `'AA'`],
  ])('do not hold once SQL has changed them: %s = %s', async (column, value) => {
    const [uid, id] = fc.sample(fc.uuid(), 2) as [string, string];
    const changed = { id, credentialId: 'AAAA' };
    const entry = {
      type: 'credential.verify',
      outcome: 'success',
      rpId: 'a.example',
      userId: 'u',
      credential: changed,
    } as const;
    const event = await insert(entry, uid, true);
    await database.sql(`UPDATE audit_event SET ${column} = ${value} WHERE id = $1`, [event]);
    expect(await hold(event)).not.toBe(true);
  });

  it.each([
    ['actor', `'spiffe://bank.example/a'`],
    ['rp_id', `'a.example'`],
    ['user_id', `'a'`],
    ['credential_uid', 'gen_random_uuid()'],
    ['credential_id', `'AA'`],
  ])('do not hold once SQL has given them something that the event does not say: %s', async (column, value) => {
    const event = await insert({ type: 'service.start', outcome: 'success' }, '', false);
    await database.sql(`UPDATE audit_event SET ${column} = ${value} WHERE id = $1`, [event]);
    expect(await hold(event)).not.toBe(true);
  });
});
