import { describe, expect, it } from '@jest/globals';
import { formatShare, layOut, pickPeriod } from './ceremony-counts.js';

const hour = (at: string, ceremony: string, counts: object): never =>
  ({ hour: at, ceremony, begun: 0, answered: 0, accepted: 0, refused: {}, ...counts }) as never;
const statistics = (from: string, to: string, byHour: never[]): Parameters<typeof layOut>[0] => ({
  from,
  to,
  ceremonies: { computedAt: to, since: null, begun: 0, neverAnswered: 0, byHour },
});

describe('the counts of ceremonies', () => {
  const day = statistics('2026-03-01T09:00:00.000Z', '2026-03-01T12:00:00.000Z', [
    hour('2026-03-01T09:00:00.000Z', 'authentication', { begun: 5, accepted: 3, refused: { 'signature-invalid': 1 } }),
    hour('2026-03-01T11:00:00.000Z', 'authentication', { accepted: 1, refused: { 'origin-mismatch': 2 } }),
    hour('2026-03-01T11:00:00.000Z', 'registration', { accepted: 4, refused: { 'origin-mismatch': 1 } }),
  ]);

  it('are laid out by hour, those without any filled with 0', () => {
    const { times, hours, begun, accepted, refused, reasons } = layOut(day);
    expect([hours, times.map((time) => time.getUTCHours())]).toEqual([1, [9, 10, 11]]);
    expect([begun.counts, accepted.counts, refused.counts]).toEqual([
      [5, 0, 0],
      [3, 0, 5],
      [1, 0, 3],
    ]);
    expect(reasons).toEqual([
      { name: 'origin-mismatch', counts: [0, 0, 3], total: 3 },
      { name: 'signature-invalid', counts: [1, 0, 0], total: 1 },
    ]);
  });

  it('are those of one ceremony if asked', () => {
    expect(layOut(day, 'registration')).toMatchObject({ accepted: { total: 4 }, reasons: [{ total: 1 }] });
    expect(layOut(day, 'payment')).toMatchObject({ accepted: { counts: [0, 0, 0] }, reasons: [] });
  });

  it('are laid out by day where a week of hours is not enough', () => {
    const month = statistics('2026-03-01T05:00:00.000Z', '2026-03-31T05:00:00.000Z', [
      hour('2026-03-02T04:00:00.000Z', 'authentication', { accepted: 1 }),
      hour('2026-03-02T05:00:00.000Z', 'authentication', { accepted: 2 }),
      hour('2026-03-31T04:00:00.000Z', 'authentication', { accepted: 4 }),
    ]);
    const { hours, times, accepted } = layOut(month);
    expect([hours, times.length, accepted.counts[0], accepted.counts[1], accepted.counts[29]]).toEqual([
      24, 30, 1, 2, 4,
    ]);
  });

  it('keep a reason apart from an outcome of the same name', () => {
    const odd = statistics('2026-03-01T09:00:00.000Z', '2026-03-01T10:00:00.000Z', [
      hour('2026-03-01T09:00:00.000Z', 'authentication', { accepted: 1, refused: { accepted: 7 } }),
    ]);
    expect(layOut(odd)).toMatchObject({ accepted: { total: 1 }, reasons: [{ name: 'accepted', total: 7 }] });
  });

  it('are asked for in whole hours of UTC', () => {
    expect(pickPeriod(1, new Date('2026-03-02T09:30:00.000Z'))).toEqual({
      from: '2026-03-01T10:00:00.000Z',
      to: '2026-03-02T10:00:00.000Z',
    });
  });

  it.each([
    [0, 0, '–'],
    [0, 5, '0 %'],
    [1, 300, '0.3 %'],
    [1, 2, '50 %'],
  ])('%i of %i is %s', (part, whole, share) => {
    expect(formatShare(part, whole)).toBe(share);
  });
});
