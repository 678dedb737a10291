import { describe, expect, it } from '@jest/globals';
import { validate, version } from 'uuid';
import { makeUuidv7, takeRandomBytes } from './random.js';

describe('random bytes', () => {
  it('are as many as were asked for, and never the same, also across fillings of the pool', () => {
    const sizes = [1, 12, 16, 32, 4_096, 32, 4_095, 2, 16];
    expect(sizes.map((size) => takeRandomBytes(size).length)).toEqual(sizes);
    const taken = Array.from({ length: 2_000 }, () => takeRandomBytes(32).toString('hex'));
    expect(new Set(taken).size).toBe(taken.length);
  });

  it('belong to the taker, whom later ones do not change', () => {
    const taken = takeRandomBytes(32);
    const before = Buffer.from(taken);
    for (let more = 0; more < 500; more += 1) takeRandomBytes(32);
    expect(taken).toEqual(before);
  });

  it('have each bit set about half of the time', () => {
    const counts = Array<number>(256).fill(0);
    for (let round = 0; round < 4_000; round += 1) {
      const bytes = takeRandomBytes(32);
      for (let bit = 0; bit < 256; bit += 1) counts[bit]! += (bytes[bit >> 3]! >> (bit & 7)) & 1;
    }
    // Nine standard deviations on both sides.
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(285);
  });
});

describe('a UUIDv7', () => {
  it('begins with its time, is valid, and differs from all others of its millisecond', () => {
    const time = new Date('2026-06-30T12:00:00.123Z');
    const ids = Array.from({ length: 1_000 }, () => makeUuidv7(time));
    for (const id of ids) {
      expect(validate(id) && version(id) === 7).toBe(true);
      expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(time.getTime());
    }
    expect(new Set(ids).size).toBe(ids.length);
  });
});
