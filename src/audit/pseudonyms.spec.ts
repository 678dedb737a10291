import { describe, expect, it } from '@jest/globals';
import { TEST_KEYS } from '../../test/support/secret-keys.js';
import { toFirstId } from './audit-event.repository.js';
import { deriveStandIn, listPseudonyms } from './pseudonyms.js';

const JUNE = new Date('2026-06-30T23:59:59.999Z');
const ADA = { rpId: 'a.example', userId: 'ada' };

describe('a pseudonym', () => {
  const standIn = deriveStandIn(ADA, JUNE, TEST_KEYS);

  it('has 128 bits that do not reveal the user id', () => {
    expect(standIn).toMatch(/^~[A-Za-z0-9_-]{22}$/);
  });

  it('is the same for the same user of a relying party within a month', () => {
    expect(deriveStandIn({ ...ADA }, new Date('2026-06-01T00:00:00Z'), TEST_KEYS)).toBe(standIn);
  });

  it.each<[string, Parameters<typeof deriveStandIn>]>([
    ['another relying party', [{ ...ADA, rpId: 'b.example' }, JUNE, TEST_KEYS]],
    ['no relying party', [{ userId: 'ada' }, JUNE, TEST_KEYS]],
    ['the next month', [ADA, new Date(JUNE.getTime() + 1), TEST_KEYS]],
    ['the same month of another year', [ADA, new Date('2027-06-30T23:59:59.999Z'), TEST_KEYS]],
    ['another user', [{ ...ADA, userId: 'Ada' }, JUNE, TEST_KEYS]],
    ['another key', [ADA, JUNE, { auditSubjects: [Buffer.alloc(32, 9)] as const }]],
  ])('differs for %s', (_, parameters) => {
    expect(deriveStandIn(...parameters)).not.toBe(standIn);
  });
});

describe('the pseudonyms of a user id', () => {
  const parties = [
    { rpId: 'a.example', handle: Buffer.of(1), auditUid: '11111111-1111-4111-8111-111111111111', seal: null },
    { rpId: 'b.example', handle: null, auditUid: null, seal: null },
  ];
  const users = { keepGenuine: <User>(_: unknown, user: User | null) => Promise.resolve(user ?? undefined) };
  const through = { query: () => Promise.resolve(parties as never) };
  const listAdaNames = (from: string, to: string) =>
    listPseudonyms(
      through,
      { userId: 'ada', relyingParties: null },
      { from: Date.parse(from), to: Date.parse(to) },
      TEST_KEYS,
      users,
    );

  it('are the random one of each relying party that has the user, and the derived ones of each month', async () => {
    const found = await listAdaNames('2025-12-31T23:59:59.999Z', '2026-02-01T00:00:00Z');
    expect(found.map(({ uid }) => uid)).toEqual([
      parties[0]!.auditUid,
      ...['2025-12-15', '2026-01-15', '2026-02-15'].map((day) => deriveStandIn(ADA, new Date(day), TEST_KEYS)),
      ...['2025-12-15', '2026-01-15', '2026-02-15'].map((day) =>
        deriveStandIn({ ...ADA, rpId: 'b.example' }, new Date(day), TEST_KEYS),
      ),
    ]);
  });

  it('cover every day of a month that the period touches', async () => {
    const [, december, january] = await listAdaNames('2025-12-31T00:00:00Z', '2026-01-01T00:00:00Z');
    expect(december?.until).toBe(january?.since);
    expect(december?.since).toBe(toFirstId(Date.UTC(2025, 11)));
  });

  it('are the random ones alone when the period is empty', async () => {
    expect(await listAdaNames('2026-02-01T00:00:00Z', '2026-01-01T00:00:00Z')).toHaveLength(1);
  });
});
