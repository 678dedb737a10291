import { describe, expect, it } from '@jest/globals';
import { RequestRate } from './request-rate.js';

const GRANT = { id: 'a' };

/** Counts how many of `count` simultaneous requests are let through. */
const taken = (rate: RequestRate, perSecond: number, at: number, count: number, grant = GRANT): number =>
  Array.from({ length: count }, () => rate.take(grant, perSecond, at)).filter((wait) => wait === 0).length;

describe('a rate of requests', () => {
  it('lets a burst of one second’s worth pass, and no more', () => {
    expect(taken(new RequestRate(), 5, 0, 20)).toBe(5);
  });

  it('fills up again evenly', () => {
    const rate = new RequestRate();
    taken(rate, 10, 0, 10);
    expect(taken(rate, 10, 100, 5)).toBe(1);
    expect(taken(rate, 10, 150, 5)).toBe(0);
    expect(taken(rate, 10, 200, 5)).toBe(1);
    expect(taken(rate, 10, 700, 10)).toBe(5);
  });

  it('never saves up more than a burst', () => {
    const rate = new RequestRate();
    taken(rate, 5, 0, 5);
    expect(taken(rate, 5, 3_600_000, 100)).toBe(5);
  });

  it('holds over time, however the requests are spread', () => {
    const rate = new RequestRate();
    let through = 0;
    for (let at = 0; at < 60_000; at += 7) through += taken(rate, 50, at, 1);
    expect(through).toBeGreaterThanOrEqual(50 * 59);
    expect(through).toBeLessThanOrEqual(50 * 61);
  });

  it('says when the next request may come, and that request passes', () => {
    const rate = new RequestRate();
    taken(rate, 4, 0, 4);
    expect(rate.take(GRANT, 4, 0)).toBeCloseTo(0.25);
    const wait = rate.take(GRANT, 4, 100);
    expect(wait).toBeCloseTo(0.15);
    expect(rate.take(GRANT, 4, 100 + wait * 1_000 - 1)).toBeGreaterThan(0);
    expect(rate.take(GRANT, 4, 100 + wait * 1_000 + 1)).toBe(0);
  });

  it('may be below one a second', () => {
    const rate = new RequestRate();
    expect(taken(rate, 0.1, 0, 5)).toBe(1);
    expect(rate.take(GRANT, 0.1, 0)).toBeCloseTo(10);
    expect(taken(rate, 0.1, 9_000, 1)).toBe(0);
    expect(taken(rate, 0.1, 10_001, 5)).toBe(1);
  });

  it('belongs to one grant', () => {
    const rate = new RequestRate();
    expect(taken(rate, 1, 0, 5, GRANT)).toBe(1);
    expect(taken(rate, 1, 0, 5, { id: 'b' })).toBe(1);
  });

  it('begins again with another grant of the same identity, and keeps nothing of the earlier one', () => {
    const rate = new RequestRate();
    taken(rate, 3, 0, 3, { id: 'a' });
    expect(taken(rate, 5, 0, 9, { id: 'a' })).toBe(5);
  });

  it('neither grants nor takes anything when the clock is set back', () => {
    const rate = new RequestRate();
    taken(rate, 5, 3_600_000, 5);
    expect(taken(rate, 5, 0, 5)).toBe(0);
    expect(taken(rate, 5, 200, 5)).toBe(1);
    expect(taken(rate, 5, 1_200, 20)).toBe(5);
  });
});
