import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import { IsTimestamp } from './is-timestamp.js';

class Dto {
  @IsTimestamp()
  at: unknown;
}

const listMessages = (at: unknown): string[] =>
  validateSync(Object.assign(new Dto(), { at })).flatMap(({ constraints }) => Object.values(constraints ?? {}));

describe('a time as RFC 3339 §5.6 writes it', () => {
  it.each([
    '2026-06-30T12:34:56Z',
    '2026-06-30T12:34:56.7Z',
    '2026-06-30T12:34:56.789Z',
    '2026-06-30T12:34:56.123456789Z',
    '2026-06-30t12:34:56z',
    '2026-06-30T12:34:56+02:00',
    '2026-06-30T12:34:56-23:59',
    '2028-02-29T00:00:00Z',
    '2026-12-31T23:59:59Z',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
  ])('%s is one', (text) => {
    expect(listMessages(text)).toEqual([]);
  });

  it.each([
    '',
    '2026',
    '2026-06-30',
    '2026-06-30T12:34Z',
    '2026-06-30T12:34:56',
    '2026-06-30 12:34:56Z',
    '2026-06-30T12:34:56.Z',
    '2026-06-30T12:34:56.1234567890Z',
    '2026-06-30T12:34:56,5Z',
    '2026-06-30T12:34:56+0200',
    '2026-06-30T12:34:56+2',
    '2026-06-30T12:34:56+24:00',
    '2026-06-30T12:34:56ZZ',
    ' 2026-06-30T12:34:56Z',
    '2026-06-30T12:34:56Z\n',
    '+002026-06-30T12:34:56Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-06-31T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-06-30T24:00:00Z',
    '2026-06-30T25:00:00Z',
    '2026-06-30T12:60:00Z',
    '2026-06-30T12:34:61Z',
    'Tue, 30 Jun 2026 12:34:56 GMT',
    '1782822896',
    '٢٠٢٦-06-30T12:34:56Z',
  ])('%j is none', (text) => {
    expect(listMessages(text)).toEqual(['at must be an RFC 3339 time']);
  });

  it.each([null, undefined, 1_782_822_896_000, new Date(), ['2026-06-30T12:34:56Z'], {}])('%p is none', (value) => {
    expect(listMessages(value)).toHaveLength(1);
  });
});
