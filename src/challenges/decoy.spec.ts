import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { Admission } from '../relying-parties/purposes.js';
import { createListShape, makeDecoyDescriptors, type ListShape } from './decoy.js';
import { sortTransports } from './descriptors.js';

const KEY = randomBytes(32);
const ALL: Admission = { backup: 'any', attestation: 'any' };
const makeDecoys = (
  userId = 'u-1',
  { rpId = 'a.example', key = KEY, shapes = [] as readonly ListShape[], admission = ALL } = {},
) => makeDecoyDescriptors(key, { rpId, userId }, shapes, admission);
const decodeId = (id: string | undefined): Buffer => Buffer.from(id ?? '', 'base64url');
const users = Array.from({ length: 3_000 }, (_, index) => `u-${String(index)}`);

const PHONE = { bytes: 32, transports: ['hybrid', 'internal'], backupEligible: true, trusted: false };
const KEY_FOB = { bytes: 48, transports: ['nfc', 'usb'], backupEligible: false, trusted: true };
const OLD_FOB = { bytes: 64, transports: [], backupEligible: false, trusted: false };
const MIXED = [
  createListShape([PHONE], 60),
  createListShape([PHONE, KEY_FOB], 30),
  createListShape([OLD_FOB, OLD_FOB, PHONE], 10),
];

/** The shape of a list of descriptors, as JSON. */
const describeShape = (list: ReturnType<typeof makeDecoys>): string =>
  JSON.stringify(list.map(({ id, transports }) => ({ bytes: decodeId(id).length, transports })));

/** What descriptors show of a shape. */
const describeVisible = ({ list }: ListShape): string =>
  JSON.stringify(list.map(({ bytes, transports }) => ({ bytes, transports })));

/** Counts the users who see a list of each shape. */
function countShapes(shapes: readonly ListShape[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const user of users) {
    const shape = describeShape(makeDecoys(user, { shapes }));
    counts.set(shape, (counts.get(shape) ?? 0) + 1);
  }
  return counts;
}

describe('the decoy list of a user without passkeys', () => {
  it('is the same every time', () => {
    expect(makeDecoys('u-1', { shapes: MIXED })).toEqual(makeDecoys('u-1', { shapes: MIXED }));
  });

  it('has the shapes of real lists, as often as they occur', () => {
    const counts = countShapes(MIXED);
    expect([...counts.keys()].sort()).toEqual(MIXED.map(describeVisible).sort());
    for (const shape of MIXED) {
      expect(counts.get(describeVisible(shape))! / users.length).toBeCloseTo(shape.users / 100, 1);
    }
  });

  it('is one passkey of a large provider when no user has any', () => {
    const counts = countShapes([]);
    expect(counts.size).toBe(3);
    for (const bytes of [16, 20, 32]) {
      const share = counts.get(JSON.stringify([{ bytes, transports: ['hybrid', 'internal'] }]))! / users.length;
      expect(share).toBeCloseTo(1 / 3, 1);
    }
  });

  it('changes for few users when the real lists change', () => {
    const later = [createListShape([PHONE], 61), ...MIXED.slice(1), createListShape([KEY_FOB], 1)];
    const changed = users.filter(
      (user) =>
        describeShape(makeDecoys(user, { shapes: MIXED })) !== describeShape(makeDecoys(user, { shapes: later })),
    );
    expect(changed.length / users.length).toBeLessThan(0.05);
  });

  it('keeps an id when the list grows, and never gives it to a passkey of another kind', () => {
    const list = (...of: (typeof PHONE)[]) => makeDecoys('u-1', { shapes: [createListShape(of, 1)] });
    const [phone] = list(PHONE);
    expect(list(PHONE, KEY_FOB)[0]).toEqual(phone);
    const others = [list({ ...PHONE, bytes: 33 }), list({ ...PHONE, transports: ['internal'] }), list(KEY_FOB, PHONE)];
    const beginnings = others.flat().map(({ id }) => id.slice(0, 20));
    expect(beginnings).not.toContain(phone?.id.slice(0, 20));
  });

  it('differs for another user, another relying party and another key', () => {
    const lists = [
      makeDecoys(),
      makeDecoys('u-2'),
      makeDecoys('u-1', { rpId: 'b.example' }),
      makeDecoys('u-1', { key: randomBytes(32) }),
    ];
    expect(new Set(lists.map(([decoy]) => decoy?.id.slice(0, 20))).size).toBe(4);
    expect(new Set(users.map((user) => decodeId(makeDecoys(user)[0]?.id).toString('hex', 0, 16))).size).toBe(
      users.length,
    );
  });

  it('distinguishes all pairs of names', () => {
    expect(makeDecoys('b')).not.toEqual(makeDecoys('', { rpId: 'a.exampleb' }));
    expect(makeDecoys('","x', { rpId: 'a' })).not.toEqual(makeDecoys('x', { rpId: 'a","' }));
  });

  it('works for the longest user id and RP ID too', () => {
    const [list, other] = ['🔑', '🔓'].map((last) => makeDecoys('🔑'.repeat(255) + last, { rpId: 'a'.repeat(253) }));
    expect(list).toHaveLength(1);
    expect(list).not.toEqual(other);
  });

  it('is, for a purpose that admits a kind of passkey, the part of the same list that has it', () => {
    const admission: Admission = { backup: 'device-bound', attestation: 'any' };
    const whole = makeDecoys('u-1', { shapes: [createListShape([PHONE, KEY_FOB, PHONE, OLD_FOB], 1)] });
    const part = (admits: Admission) =>
      makeDecoys('u-1', { shapes: [createListShape([PHONE, KEY_FOB, PHONE, OLD_FOB], 1)], admission: admits });
    expect(part(admission)).toEqual([whole[1], whole[3]]);
    expect(part({ backup: 'synced', attestation: 'any' })).toEqual([whole[0], whole[2]]);
    expect(part({ backup: 'any', attestation: 'trusted' })).toEqual([whole[1]]);
  });

  it('is another list of that kind where the list has none, and the usual one where no user has', () => {
    const admission: Admission = { backup: 'device-bound', attestation: 'trusted' };
    const shapes = [createListShape([PHONE], 1e9), createListShape([PHONE, KEY_FOB], 1), createListShape([KEY_FOB], 1)];
    const [whole, part] = [makeDecoys('u-1', { shapes }), makeDecoys('u-1', { shapes, admission })];
    expect(describeShape(whole)).toBe(describeVisible(shapes[0]!));
    expect(describeShape(part)).toBe(describeVisible(shapes[2]!));
    const none = makeDecoys('u-1', { shapes: [shapes[0]!], admission });
    expect(none).toHaveLength(1);
    const ids = [whole, part, none].map(([decoy]) => decoy?.id.slice(0, 20));
    expect(new Set(ids).size).toBe(3);
  });

  it('may have ids of the maximum length', () => {
    const [decoy] = makeDecoys('u-1', { shapes: [createListShape([{ ...OLD_FOB, bytes: 1_023 }], 1)] });
    expect(decodeId(decoy?.id)).toHaveLength(1_023);
  });
});

describe('the transports of a decoy', () => {
  it('are sorted, as browsers sort them', () => {
    expect(sortTransports(['internal', 'usb', 'ble', 'hybrid'])).toEqual(['ble', 'hybrid', 'internal', 'usb']);
  });
});
