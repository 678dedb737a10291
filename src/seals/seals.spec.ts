import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { makeSealKeys, makeSeals } from '../../test/support/secret-keys.js';
import { readKeyId, SEAL_BYTES, type SealedRow } from './seal.js';

const ROW = {
  kind: 'user',
  parts: ['a.example', 'ada', Buffer.of(1, 2), null, 7, true, ['b'], new Date(0)],
} as const satisfies SealedRow;
const FORMER: SealedRow = {
  ...ROW,
  former: ({ credential }) => createHmac('sha256', credential).update('row').digest(),
};
const BEFORE = { areSealsNew: false, areOldAccepted: true };
const BETWEEN = { areSealsNew: true, areOldAccepted: true };

describe('a seal', () => {
  const seals = makeSeals();
  const seal = seals.seal(ROW);

  it('is the id of the key and 16 bytes of an HMAC-SHA-256 over the kind and the parts', () => {
    const { seals: keys } = makeSealKeys(1);
    const text = JSON.stringify(['user', 'a.example', 'ada', 'AQI=', null, 7, true, ['b'], '1970-01-01T00:00:00.000Z']);
    const mac = createHmac('sha256', keys[0].secret).update(text).digest().subarray(0, 16);
    expect(makeSeals({ seals: keys }).seal(ROW)).toEqual(Buffer.concat([Buffer.from(keys[0].id, 'hex'), mac]));
    expect(readKeyId(seal)).toBe(keys[0].id);
    expect(seals.isGenuine(ROW, seal)).toBe(true);
  });

  it.each(ROW.parts.map((_, index) => [index]))('does not hold when part %i is another', (changed) => {
    for (const value of ['x', Buffer.of(9), undefined, Infinity, 8, false, [], new Date(1), new Date(NaN)]) {
      const parts = ROW.parts.map((part, index) => (index === changed ? value : part));
      const isSame = JSON.stringify([value]) === JSON.stringify([ROW.parts[changed]]);
      expect([value, seals.isGenuine({ ...ROW, parts }, seal)]).toEqual([value, isSame]);
    }
  });

  it('does not hold for another kind, nor when parts trade places or move their boundary', () => {
    expect(seals.isGenuine({ ...ROW, kind: 'credential' }, seal)).toBe(false);
    expect(seals.isGenuine({ ...ROW, parts: [...ROW.parts].reverse() }, seal)).toBe(false);
    const pair = seals.seal({ kind: 'user', parts: ['ab', 'c'] });
    for (const parts of [['a', 'bc'], ['abc'], ['ab","c'], ['ab', 'c', null], ['ab', ['c']]]) {
      expect(seals.isGenuine({ kind: 'user', parts }, pair)).toBe(false);
    }
  });

  it.each<[string, Buffer | null]>([
    ['nothing', null],
    ['no bytes', Buffer.alloc(0)],
    ['a part of it', seal.subarray(0, -1)],
    ['more than it', Buffer.concat([seal, Buffer.alloc(1)])],
    ['its MAC without the id of the key', seal.subarray(4)],
    ['zeros', Buffer.alloc(SEAL_BYTES)],
    ['its MAC under another id', Buffer.concat([Buffer.alloc(4), seal.subarray(4)])],
  ])('does not hold as %s', (_, bytes) => {
    expect(seals.isGenuine(ROW, bytes)).toBe(false);
  });
});

describe('a set of keys', () => {
  it('seals with the first key, and verifies what each of them sealed', () => {
    const [one, two, both, turned] = [[1], [2], [1, 2], [2, 1]].map((fills) =>
      makeSeals(makeSealKeys(...(fills as [number]))),
    );
    expect(both!.seal(ROW)).toEqual(one!.seal(ROW));
    for (const seal of [one!.seal(ROW), two!.seal(ROW)]) {
      expect([both!.isGenuine(ROW, seal), turned!.isGenuine(ROW, seal)]).toEqual([true, true]);
    }
    expect(one!.isGenuine(ROW, two!.seal(ROW))).toBe(false);
    expect([turned!.isOld(one!.seal(ROW)), turned!.isOld(two!.seal(ROW)), turned!.isOld(null)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('verifies nothing that a retired key has sealed, even before its line is removed', () => {
    const keys = makeSealKeys(2, 1);
    const isRetired = (id: string): boolean => id === keys.seals[1]?.id;
    const seals = makeSeals(keys, { ...BETWEEN, isRetired });
    expect(seals.isGenuine(ROW, makeSeals(makeSealKeys(1)).seal(ROW))).toBe(false);
    expect(seals.isGenuine(FORMER, makeSeals(makeSealKeys(1), BEFORE).seal(FORMER))).toBe(false);
    expect(seals.isGenuine(ROW, seals.seal(ROW))).toBe(true);
  });

  it('seals no more with a key that will be retired, and still verifies what it sealed', () => {
    const keys = makeSealKeys(1, 2);
    const former = makeSeals(makeSealKeys(1)).seal(ROW);
    const seals = makeSeals(keys, { isRetiring: (id) => id === keys.seals[0].id });
    expect(seals.seal(ROW)).toEqual(makeSeals(makeSealKeys(2)).seal(ROW));
    expect([seals.isGenuine(ROW, former), seals.isOld(former)]).toEqual([true, true]);
  });
});

describe('the seal of the version before', () => {
  const former = makeSeals(undefined, BEFORE).seal(FORMER);

  it('is made until the new seals begin, and neither is old until then', () => {
    expect(former).toHaveLength(32);
    expect(makeSeals(undefined, BETWEEN).seal(FORMER)).toHaveLength(SEAL_BYTES);
    expect([BEFORE, BETWEEN].map((phase) => makeSeals(undefined, phase).isOld(former))).toEqual([false, true]);
  });

  it('holds until every row has a new one, under any key of the set', () => {
    expect(makeSeals(makeSealKeys(2, 1), BETWEEN).isGenuine(FORMER, former)).toBe(true);
    expect(makeSeals(makeSealKeys(2), BETWEEN).isGenuine(FORMER, former)).toBe(false);
    expect(makeSeals().isGenuine(FORMER, former)).toBe(false);
  });

  it('does not exist for rows that had none', () => {
    expect(makeSeals(undefined, BEFORE).seal(ROW)).toHaveLength(SEAL_BYTES);
    expect(makeSeals(undefined, BEFORE).isGenuine(ROW, former)).toBe(false);
  });
});
